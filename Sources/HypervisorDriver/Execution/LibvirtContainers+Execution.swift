// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
public import LXCCore
import Libvirt
public import LinuxSystem

/// Commands and files inside containers of this host.
extension LibvirtContainers: GuestExecution, GuestFiles, ConsoleResizing {
    /// Runs a command in a container.
    ///
    /// It has the ids, capabilities, limits, priorities, security label, control groups and root directory that process 1
    /// of the container has, and of the host nothing but its streams.
    ///
    /// - Throws: `LXCError` `invalidState` when the container does not run, or is suspended; `notFound` when it has no
    ///   such program, user or directory, with a ``GuestCommandFault`` as the cause; `unsupported` on a
    ///   connection to another host; `timedOut` when the command does not begin.
    public func execute(_ command: GuestCommand, in guest: GuestName) async throws -> any GuestProcess {
        let entry = try await withInit(of: guest) { first, shown in
            try GuestEntry(command, into: first, of: guest, shown: shown)
        }
        let started = try await EnterStarter.start(
            entry.command, entry.confinement, in: entry.namespaces, entry.controlGroup, shown: "container \(guest)")
        return EnteredProcess(started)
    }

    /// The root directory as a running container sees it.
    ///
    /// - Throws: `LXCError` `invalidState` when the container does not run, or is suspended; `unsupported` on a
    ///   connection to another host.
    public func root(of guest: GuestName) async throws -> ConfinedRoot {
        try await withInit(of: guest) { first, shown in
            try ConfinedRoot(first.root(), creator: first.rootIDs(), shown: shown)
        }
    }

    /// Sets the size of the container's first terminal, which libvirt makes its console; libvirt passes bytes on, but no
    /// size.
    ///
    /// - Throws: `LXCError` `invalidState` when the container does not run; `unsafe` when its console is not a terminal.
    public func resizeConsole(of guest: GuestName, to size: TerminalSize) async throws {
        let root = try await root(of: guest)
        try await BlockingPool.shared.run { _ in
            let terminal = try root.openTerminal("/dev/pts/0")
            guard clinux_set_window_size(terminal.raw, size.rows, size.columns) == 0 else {
                throw LXCError.lastSystemCall("ioctl", "resize the console of container \(guest)")
            }
        }
    }

    /// The time after its start during which a container may have no process 1 yet.
    private static let startPatience = Duration.seconds(5)

    /// Calls `body` with process 1 of a running container, on a thread that may block.
    func withInit<Value: Sendable>(
        of guest: GuestName, _ body: @escaping @Sendable (GuestInit, _ shown: String) throws -> Value
    ) async throws -> Value {
        let shown = "container \(guest)"
        let first = try await findInit(of: guest, shown: shown)
        return try await BlockingPool.shared.run { _ in try body(first, shown) }
    }

    private func findInit(of guest: GuestName, shown: String) async throws -> GuestInit {
        guard hasProcessesHere else {
            throw LXCError(.unsupported, "only containers of this host can be entered, and \(guest) is not one")
        }
        let deadline = ContinuousClock.now + Self.startPatience
        while true {
            let controller = try await controller(of: guest)
            do {
                let first = try await BlockingPool.shared.run { _ in try GuestInit(childOf: controller, shown: shown) }
                // The number of a controller that has ended can be reused; then this is an unrelated process 1.
                if try await self.controller(of: guest) == controller { return first }
            } catch let error as LXCError where error.code == .invalidState {
                // It comes a moment after the start has returned.
                guard ContinuousClock.now < deadline, try await self.guest(guest).state.isActive else { throw error }
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// The libvirt process that runs a container.
    private func controller(of guest: GuestName) async throws -> Int32 {
        let found = try await self.guest(guest)
        guard found.state == .running || found.state == .blocked, let controller = found.id else {
            let remedy = found.state == .paused ? "is suspended; resume it" : "is not running; start it"
            throw LXCError(.invalidState, "container \(guest) \(remedy)")
        }
        return controller
    }
}

/// The data a command needs to enter a container.
struct GuestEntry: Sendable {
    let command: ResolvedCommand
    let confinement: Confinement
    let namespaces: GuestNamespaces
    let controlGroup: CommandControlGroup?

    /// Blocks.
    init(_ command: GuestCommand, into first: GuestInit, of guest: GuestName, shown: String) throws {
        try first.requireRunning()
        let root = ConfinedRoot(try first.root(), shown: shown)
        self.command = try ResolvedCommand(command, GuestAccounts(root))
        var confinement = try first.confinement()
        namespaces = try GuestNamespaces(of: first, shown: shown)
        controlGroup = try CommandControlGroup(of: guest, first.controller, root: first.rootIDs())
        // Without a group of its own it is in process 1's.
        if controlGroup == nil, let group = try first.controlGroup().unified {
            confinement.controlGroupFiles.append("\(group)/cgroup.procs")
        }
        self.confinement = confinement
    }
}
