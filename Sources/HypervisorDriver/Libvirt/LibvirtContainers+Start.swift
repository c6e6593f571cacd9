// SPDX-License-Identifier: Apache-2.0

import Glibc
public import LXCCore
import Libvirt
public import LibvirtXML
import LinuxSystem
import Logging

/// Starting: a container has started when its process 1 was executed and lives a moment later. libvirt itself says so as
/// soon as the controller is about to execute it.
extension LibvirtContainers {
    /// Creates the defined domain, and sees it run.
    ///
    /// - Throws: `LXCError` `hypervisor` with the reason why process 1 of a container could not be executed, or that it
    ///   ended immediately.
    public func start(_ guest: GuestName) async throws {
        guard hasProcessesHere else { return try await startDomain(guest) }
        try await seeingItRun(guest, definition(of: guest)) { try await startDomain(guest) }
    }

    /// Creates the domain without defining it (CloudStack's way), and sees it run; libvirt checks the document against its
    /// schema.
    ///
    /// - Throws: `LXCError` as ``start(_:)``.
    public func startTransient(_ domain: Domain) async throws {
        guard let name = try? GuestName(domain.name), hasProcessesHere else {
            return try await createDomain(domain)
        }
        do {
            try await seeingItRun(name, InitLauncher.removed(from: domain)) { try await createDomain(domain) }
        } catch {
            await tidy(after: domain)
            throw error
        }
    }

    /// The time for the controller to execute process 1.
    private static let executionPatience = Duration.seconds(15)
    /// The time process 1 has to live to count as started.
    private static let leastLife = Duration.milliseconds(200)

    private func seeingItRun(
        _ guest: GuestName, _ domain: Domain, _ start: () async throws -> Void
    ) async throws {
        let log = try await BlockingPool.shared.run { [connection] _ in
            ControllerLog(of: guest.description, libvirt: connection.uri)
        }
        do {
            try await start()
        } catch let error as LXCError where error.code != .invalidState {
            // Its message is libvirt's; the controller's has the reason.
            guard let reason = try await reason(from: log), try await !isActive(guest) else { throw error }
            logger.debug("a container did not start", metadata: ["container": "\(guest)", "error": "\(error)"])
            throw notStarted(guest, reason)
        }
        guard try await !livesOn(guest) else { return }
        try await endBelievedAlive(guest)
        let reason =
            if let said = try await reason(from: log) { said } else {
                try await BlockingPool.shared.run { _ in InitProgram(of: domain)?.fault() }
            }
        throw notStarted(guest, reason ?? "its process 1 has ended at once; its console may say why")
    }

    /// The time for libvirt to notice that a container has ended.
    private static let endPatience = Duration.seconds(2)

    /// Has libvirt take the container for ended: under load libvirt 9 can miss an end that comes right after the start.
    private func endBelievedAlive(_ guest: GuestName) async throws {
        let deadline = ContinuousClock.now + Self.endPatience
        while try await isActive(guest) {
            guard ContinuousClock.now < deadline else {
                do {
                    return try await connection.destroy(guest.description)
                } catch let error as LXCError where error.code == .invalidState || error.code == .notFound {
                    return
                }
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    private func notStarted(_ guest: GuestName, _ reason: String) -> LXCError {
        LXCError(.hypervisor, "container \(guest) did not start: \(reason)")
    }

    private func reason(from log: ControllerLog) async throws -> String? {
        try await BlockingPool.shared.run { _ in log.reason() }
    }

    private func isActive(_ guest: GuestName) async throws -> Bool {
        do {
            return try await self.guest(guest).state.isActive
        } catch let error as LXCError where error.code == .notFound {
            return false
        }
    }

    /// Whether process 1 is executed, and lives for the least time a started one does.
    private func livesOn(_ guest: GuestName) async throws -> Bool {
        let clock = ContinuousClock()
        let deadline = clock.now + Self.executionPatience
        while true {
            let found: Guest
            do {
                found = try await self.guest(guest)
            } catch let error as LXCError where error.code == .notFound {
                return false
            }
            guard found.state.isActive, let controller = found.id else { return false }
            let program = try await BlockingPool.shared.run { _ in ExecutedInit(childOf: controller, found) }
            if let program { return try await lives(program) }
            // libvirt may have missed the controller's end.
            guard Glibc.kill(controller, 0) == 0 || errno != ESRCH else { return false }
            guard clock.now < deadline else {
                throw LXCError(
                    .timedOut,
                    "libvirt says that container \(guest) runs, and has not executed its process 1 for "
                        + "\(Self.executionPatience)")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    private func lives(_ program: ExecutedInit) async throws -> Bool {
        let end = ContinuousClock.now + Self.leastLife
        repeat {
            try await Task.sleep(for: .milliseconds(20))
            if try await BlockingPool.shared.run({ _ in program.hasEnded }) { return false }
        } while ContinuousClock.now < end
        return true
    }
}

/// Process 1 of a container, once it runs the container's program, and no longer libvirt's controller or its
/// ``InitLauncher``.
private struct ExecutedInit: Sendable {
    private let process: GuestInit

    /// Nil while there is no process 1, or one of those programs still runs in it.
    init?(childOf controller: Int32, _ guest: Guest) {
        guard let process = try? GuestInit(childOf: controller, shown: "container \(guest.name)"),
            let program = Self.program(in: process.directory.raw, "exe"),
            let own = Self.program(in: AT_FDCWD, "/proc/\(controller)/exe"),
            program.st_ino != own.st_ino || program.st_dev != own.st_dev,
            !InitLauncher.isProgram(program, of: guest.uuid)
        else { return nil }
        self.process = process
    }

    /// Whether it has ended. The kernel is asked about the process itself: the executable of a live process is not
    /// visible at every moment.
    var hasEnded: Bool { (try? process.send(0)) == nil }

    private static func program(in directory: CInt, _ path: String) -> stat? {
        var status = stat()
        return fstatat(directory, path, &status, 0) == 0 ? status : nil
    }
}
