// SPDX-License-Identifier: Apache-2.0

public import LXCCore
public import LinuxSystem

/// A driver whose guests have a console.
public protocol GuestConsoles: HypervisorDriver {
    /// Opens the guest's console.
    ///
    /// - Throws: `LXCError` `invalidState` if it is not running.
    func openConsole(of guest: GuestName) async throws -> any GuestConsole
}

/// A driver that passes the size of a terminal on to a guest's console.
public protocol ConsoleResizing: GuestConsoles {
    /// Sets the size of the terminal that shows a guest's console.
    ///
    /// - Throws: `LXCError` `invalidState` if the guest is not running.
    func resizeConsole(of guest: GuestName, to size: TerminalSize) async throws
}

/// A guest's console: bytes in both directions.
public protocol GuestConsole: Sendable {
    /// The guest's output since the console was opened, including what the console had buffered. Ends when the guest
    /// ends or the console is closed. Supports one reader.
    var output: any AsyncSequence<[UInt8], any Error> & Sendable { get }

    /// Sends bytes to the guest, as if typed.
    ///
    /// - Throws: `LXCError` `invalidState` after the end.
    func write(_ bytes: [UInt8]) async throws

    /// Closes the console; the guest continues.
    func close() async
}

/// A driver that runs commands inside guests.
public protocol GuestExecution: HypervisorDriver {
    /// Starts a command inside a guest and returns once it has started.
    ///
    /// - Throws: `LXCError` `invalidState` if the guest is not running, `notFound` for a program, directory or user
    ///   that does not exist in it, `invalidArgument`.
    func execute(_ command: GuestCommand, in guest: GuestName) async throws -> any GuestProcess
}

/// A driver that accesses the files of running guests.
public protocol GuestFiles: HypervisorDriver {
    /// The root directory as seen by a running guest, with everything mounted there.
    ///
    /// - Throws: `LXCError` `invalidState` if the guest is not running.
    func root(of guest: GuestName) async throws -> ConfinedRoot
}

/// A driver whose guests run an agent that writes files for it.
public protocol GuestAgent: HypervisorDriver {
    /// Writes a file inside a running guest through the agent there, replacing its contents.
    ///
    /// - Parameters:
    ///   - contents: the new contents of the file.
    ///   - path: the file's path in the guest; its directory must exist.
    ///   - guest: the guest.
    ///   - limit: the time to wait for the agent's first answer.
    /// - Throws: `LXCError` `timedOut` if no agent answers, `invalidState` if the guest is not running, `unsupported`
    ///   if it has no channel for an agent, `hypervisor` with the agent's error.
    func writeFile(
        _ contents: [UInt8], to path: String, in guest: GuestName, within limit: Duration
    ) async throws
}
