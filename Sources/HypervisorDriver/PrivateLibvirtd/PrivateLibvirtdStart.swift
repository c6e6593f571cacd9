// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import Libvirt
import LinuxSystem
import Logging

/// The start of a private daemon, from nothing to an answer.
struct PrivateLibvirtdStart: Sendable {
    let launcher: PrivateLibvirtdLauncher
    let timeout: Duration
    let logger: Logger

    private var paths: PrivateLibvirtdDirectory { launcher.directory }

    /// Starts a daemon that ends with this process; what was started is gone again after a failure.
    ///
    /// - Throws: `inUse` when a daemon runs in the directory already.
    func supervised() async throws -> PrivateLibvirtdLauncher.Running {
        try await FileLock.hold(paths.lock, pool: .shared) {
            // The end of one of two in the same directory would take the other's away.
            guard try await !BlockingPool.shared.run({ _ in PrivateLibvirtdLauncher.answers(paths.socket) }) else {
                throw LXCError(
                    .inUse,
                    "a libvirtd runs in \(paths.path.escapedForDisplay) already; use another directory, or a lingering "
                        + "daemon, which can be shared")
            }
            return try await launchSupervised()
        }
    }

    private func launchSupervised() async throws -> PrivateLibvirtdLauncher.Running {
        let (log, running) = try await launchWithLog()
        defer { close(log) }
        do {
            try await awaitAnswers { clinux_await_child(running.process, 1) == 0 ? lastLine(of: log) : nil }
            // From now on its supervisor keeps it running.
            if let lifeline = running.lifeline, write(lifeline, [1], 1) != 1 {
                throw LXCError.lastSystemCall("write", "speak to the supervisor of a private libvirtd")
            }
            return running
        } catch {
            // Closing the lifeline ends the supervisor and all below it, also when the task was cancelled.
            if let lifeline = running.lifeline { close(lifeline) }
            await withoutCancellation {
                try? await BlockingPool.shared.run { _ in _ = clinux_await_child(running.process, 0) }
            }
            throw error
        }
    }

    /// Connects to the directory's daemon, started first if there is none: by one process at a time.
    func shared() async throws -> (LibvirtConnection, PrivateLibvirtdLauncher.Running?) {
        if let client = try await answering() { return (client, nil) }
        return try await FileLock.hold(paths.lock, pool: .shared) {
            if let client = try await answering() { return (client, nil) }
            let (log, running) = try await launchWithLog()
            defer { close(log) }
            try await awaitAnswers { kill(running.process, 0) != 0 ? lastLine(of: log) : nil }
            logger.info("lingering libvirtd started", metadata: ["libvirt.directory": "\(paths.path)"])
            return (try await connect(), running)
        }
    }

    /// A connection to the daemon where one runs; a daemon that hangs is one.
    private func answering() async throws -> LibvirtConnection? {
        do {
            return try await connect()
        } catch let error as LXCError where error.code == .unavailable {
            return nil
        }
    }

    private func connect() async throws -> LibvirtConnection {
        let driver: LibvirtKind = launcher.drivers.contains(.lxc) ? .lxc : .kvm
        return try await LibvirtConnection.open(paths.uri(for: driver), logger: logger)
    }

    /// Launches with the log open for reading: a supervisor that gives up removes the file.
    private func launchWithLog() async throws -> (log: CInt, running: PrivateLibvirtdLauncher.Running) {
        try await BlockingPool.shared.run { _ in
            let log = open(paths.log, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard log >= 0 else { throw LXCError.lastSystemCall("open", "open the log of a private libvirtd") }
            lseek(log, 0, SEEK_END)
            do {
                return (log, try launcher.launch())
            } catch {
                close(log)
                throw error
            }
        }
    }

    /// Waits until every driver answers; `ended` gives the daemon's last words once it has ended.
    private func awaitAnswers(_ ended: () -> String?) async throws {
        let deadline = ContinuousClock.now + timeout
        for driver in launcher.drivers {
            while true {
                let left = max(.milliseconds(100), deadline - ContinuousClock.now)
                let connection = LibvirtConnection(
                    uri: paths.uri(for: driver), patience: .init(opening: left), logger: logger)
                do {
                    try await connection.open()
                    await connection.close()
                    break
                } catch let error as LXCError {
                    if let words = ended() {
                        throw LXCError(
                            .unavailable,
                            "the private libvirtd in \(paths.path.escapedForDisplay) ended at its start: "
                                + "\(words.escapedForDisplay)", cause: error)
                    }
                    if ContinuousClock.now > deadline {
                        throw LXCError(
                            .timedOut,
                            "the private libvirtd in \(paths.path.escapedForDisplay) did not answer in "
                                + "\(timeout) for \(driver)", cause: error)
                    }
                    try await Task.sleep(for: .milliseconds(10))
                }
            }
        }
    }

    /// The last line the daemon has written since its start.
    private func lastLine(of log: CInt) -> String {
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = read(log, &bytes, bytes.count)
        let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        return text.split(separator: "\n").last.map(String.init) ?? "it wrote nothing to its log"
    }
}
