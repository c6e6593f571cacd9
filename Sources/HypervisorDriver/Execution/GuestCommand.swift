// SPDX-License-Identifier: Apache-2.0

/// A command to run inside a guest.
public struct GuestCommand: Hashable, Sendable {
    /// As whom it runs.
    public enum User: Hashable, Sendable {
        /// The guest's root.
        case root
        /// A number as the guest sees it, with the groups from its `/etc/passwd` and `/etc/group`; a user without an
        /// account there has the group of the same number.
        case id(UInt32)
        /// Ids as the guest sees them, and the groups beside the first.
        case ids(user: UInt32, group: UInt32, groups: [UInt32] = [])
        /// A name of the guest's `/etc/passwd`, with the groups its `/etc/group` gives it. The files are read as data:
        /// nothing of the guest runs to answer (CVE-2019-14271).
        case name(String)
    }

    /// The program and its arguments. A program without `/` is looked for in the directories of `PATH`, inside.
    public var arguments: [String]
    /// Added to the environment, which is `PATH`, `HOME`, `USER`, `container`, and `TERM` on a terminal. Nothing of this
    /// program's own environment is in it.
    public var environment: [String: String] = [:]
    /// The working directory: an absolute path inside.
    public var workingDirectory = "/"
    /// As whom it runs.
    public var user = User.root
    /// The size of the terminal it gets; nil gives it pipes.
    public var terminal: TerminalSize?

    /// A command of the guest's root, with pipes.
    public init(_ arguments: [String]) { self.arguments = arguments }
}

/// The size of a terminal in characters.
public struct TerminalSize: Hashable, Sendable {
    /// Lines.
    public var rows: UInt16
    /// Characters in a line.
    public var columns: UInt16

    /// Creates a terminal size.
    public init(rows: UInt16 = 24, columns: UInt16 = 80) {
        self.rows = rows
        self.columns = columns
    }
}

/// The way a command ended.
public enum TerminationStatus: Hashable, Sendable {
    /// It exited, with a status from 0 to 255.
    case exited(Int32)
    /// By a signal.
    case signalled(Int32)

    /// As shells say it: the status, or 128 and the signal's number.
    public var shellStatus: Int32 {
        switch self {
        case .exited(let status): status
        case .signalled(let signal): 128 + signal
        }
    }
}

/// The reason why a command was not started in a running guest, as the cause of an error.
public enum GuestCommandFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// The guest has no such program.
    case programNotFound
    /// The program exists and cannot be run, or the command's user or directory does not exist.
    case cannotRun

    /// The fault in words.
    public var description: String {
        switch self {
        case .programNotFound: "no such program"
        case .cannotRun: "the command cannot be run"
        }
    }

    /// As shells say it.
    public var shellStatus: Int32 {
        switch self {
        case .programNotFound: 127
        case .cannotRun: 126
        }
    }
}

/// A command that runs inside a guest. Dropping the last reference kills it.
public protocol GuestProcess: Sendable {
    /// Its standard output, or its terminal's. For one reader; a command waits while its output is not read. It ends a
    /// moment after the command, even if a process started by the command holds it open.
    var output: any AsyncSequence<[UInt8], any Error> & Sendable { get }

    /// Its standard error; with a terminal that is part of ``output``, and this is empty.
    var errorOutput: any AsyncSequence<[UInt8], any Error> & Sendable { get }

    /// Writes bytes to its standard input, and waits while it accepts no more.
    ///
    /// - Throws: `LXCError` `invalidState` when it reads no more.
    func write(_ bytes: [UInt8]) async throws

    /// Ends its standard input; on a terminal it is what Ctrl-D is.
    func closeInput() async throws

    /// Sets the size of its terminal.
    ///
    /// - Throws: `LXCError` `invalidState` when it has no terminal.
    func resize(to size: TerminalSize) async throws

    /// Sends a signal to its process group; SIGKILL also reaches its processes that have left the group. Succeeds if
    /// the command has ended.
    ///
    /// - Throws: `LXCError` when it cannot be sent.
    func send(_ signal: GuestSignal) throws

    /// Waits for its end. Cancelling the task kills it, and waits a moment at most until it is gone.
    ///
    /// - Returns: the termination status.
    /// - Throws: `CancellationError`, after it has been killed.
    func wait() async throws -> TerminationStatus
}
