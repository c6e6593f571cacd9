public import LXCCore
public import LinuxSystem

/// A driver whose guests have a console.
public protocol GuestConsoles: HypervisorDriver {
    /// Opens the guest's console.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    func openConsole(of guest: GuestName) async throws -> any GuestConsole
}

/// A driver that passes the size of a terminal on to a guest's console.
public protocol ConsoleResizing: GuestConsoles {
    /// Tells a guest's console the size of the terminal it is shown on.
    ///
    /// - Throws: `LXCError` `invalidState` when the guest is not running.
    func resizeConsole(of guest: GuestName, to size: TerminalSize) async throws
}

/// A guest's console: bytes in both directions.
public protocol GuestConsole: Sendable {
    /// What the guest writes, from the opening on and what the console still held. Ends when the guest ends or the
    /// console is closed. Meant for one reader.
    var output: any AsyncSequence<[UInt8], any Error> & Sendable { get }

    /// Gives bytes to the guest, as if typed.
    ///
    /// - Throws: `LXCError` `invalidState` after the end.
    func write(_ bytes: [UInt8]) async throws

    /// Lets go of the console; the guest goes on.
    func close() async
}

/// A driver that runs commands inside guests.
public protocol GuestExecution: HypervisorDriver {
    /// Runs a command inside a guest, and returns when it has begun.
    ///
    /// - Throws: `LXCError` `invalidState` when the guest is not running, `notFound` for a program, directory or user it
    ///   does not have, `invalidArgument`.
    func execute(_ command: GuestCommand, in guest: GuestName) async throws -> any GuestProcess
}

/// A driver that reaches the files of running guests.
public protocol GuestFiles: HypervisorDriver {
    /// The root directory as a running guest sees it, with all that is mounted there.
    ///
    /// - Throws: `LXCError` `invalidState` when the guest is not running.
    func root(of guest: GuestName) async throws -> ConfinedRoot
}

/// A driver whose guests run an agent that writes files for it.
public protocol GuestAgent: HypervisorDriver {
    /// Writes a file inside a running guest, by the agent that runs there; what the file held is gone.
    ///
    /// - Parameters:
    ///   - contents: what the file is to hold.
    ///   - path: where it is to be in the guest; its directory must be there.
    ///   - guest: the guest.
    ///   - limit: how long is waited for the agent to answer for the first time.
    /// - Throws: `LXCError` `timedOut` when no agent answers, `invalidState` when the guest is not running,
    ///   `unsupported` when it has no channel for an agent, `hypervisor` with what the agent says.
    func writeFile(
        _ contents: [UInt8], to path: String, in guest: GuestName, within limit: Duration
    ) async throws
}
