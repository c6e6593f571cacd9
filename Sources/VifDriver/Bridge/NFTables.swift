// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem

/// The program `nft`, which changes the kernel's packet filter.
///
/// Synchronous: call it on a `BlockingPool`.
enum NFTables {
    /// The paths of the program.
    private static let places = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/usr/local/sbin/nft"]
    /// The kernel answers in milliseconds; a hanging program delays a guest's start no longer than this.
    private static let patience = Duration.seconds(10)
    /// The maximum length of an error text.
    private static let complaintLimit = 4096

    /// Runs commands as one transaction: all of them or none.
    ///
    /// - Throws: `LXCError` `unsupported` without the program, or where the kernel refuses; `timedOut`, `io`.
    static func run(_ commands: String) throws {
        guard let program = places.first(where: { access($0, X_OK) == 0 }) else {
            throw LXCError(
                .unsupported,
                "a NIC's security needs the program nft, which is not installed; install the package nftables")
        }
        let input = try memoryFile(commands)
        defer { close(input) }
        var ends: [CInt] = [-1, -1]
        guard clinux_pipe(&ends) == 0 else { throw LXCError.lastSystemCall("pipe2", "start \(program)") }
        defer { close(ends[0]) }
        let process: pid_t
        do {
            defer { close(ends[1]) }
            process = try ChildProcess.spawn(
                program, [program, "-f", "-"], descriptors: [input, ends[1], ends[1]], to: "start \(program)")
        }
        try finish(process, program, output: ends[0])
    }

    /// A file in memory: however the program reads it, writing it never waits.
    private static func memoryFile(_ text: String) throws -> CInt {
        let file = clinux_memory_file("nft")
        guard file >= 0 else { throw LXCError.lastSystemCall("memfd_create", "start nft") }
        guard Array(text.utf8).withUnsafeBytes({ Descriptor.writeAll($0, to: file) }) else {
            defer { close(file) }
            throw LXCError.lastSystemCall("write", "start nft")
        }
        lseek(file, 0, SEEK_SET)
        return file
    }

    /// Waits for the program's end, and ends it when that does not come.
    private static func finish(_ process: pid_t, _ program: String, output: CInt) throws {
        let complaint = readAll(output, until: ContinuousClock.now + patience)
        // Otherwise it has closed its output, as it does when it ends.
        if complaint == nil { kill(process, SIGKILL) }
        var status: CInt = 0
        while waitpid(process, &status, 0) < 0 {
            // In a program that ignores SIGCHLD the exit status is unknown.
            guard errno == EINTR else { throw LXCError.lastSystemCall("waitpid", "learn how \(program) ended") }
        }
        guard let complaint else {
            throw LXCError(.timedOut, "\(program) did not end within \(patience); a NIC's security is not enforced")
        }
        guard status == 0 else {
            throw LXCError(
                .unsupported,
                "the kernel does not take the rules of a NIC's security: \(complaint.escapedForDisplay)")
        }
    }

    /// The program's output until it ends; nil if it does not end in time.
    private static func readAll(_ descriptor: CInt, until deadline: ContinuousClock.Instant) -> String? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let rest = (deadline - .now) / .milliseconds(1)
            guard rest > 0 else { return nil }
            var event = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&event, 1, CInt(rest.rounded(.up))) > 0 else { continue }
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<min(count, complaintLimit - bytes.count)]
        }
    }
}
