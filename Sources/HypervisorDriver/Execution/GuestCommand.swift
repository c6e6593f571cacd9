/// A command to run inside a guest.
public struct GuestCommand: Hashable, Sendable {
    /// As whom it runs.
    public enum User: Hashable, Sendable {
        /// The guest's root.
        case root
        /// A number as the guest sees it, with the groups its `/etc/passwd` and `/etc/group` give it; one that has no
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
    /// Where it starts: an absolute path inside.
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

/// How a command ended.
public enum TerminationStatus: Hashable, Sendable {
    /// By itself, with a status from 0 to 255.
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

/// Why a command was not begun in a guest that runs, as the cause of an error.
public enum GuestCommandFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// The guest has no such program.
    case programNotFound
    /// The program is there and cannot be run, or what the command needs besides is not there: its user, its directory.
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
    /// What it writes on its standard output, or on its terminal. For one reader; a command waits while nobody reads.
    /// It ends a moment after the command, also when something that the command has started holds it open.
    var output: any AsyncSequence<[UInt8], any Error> & Sendable { get }

    /// What it writes on its standard error; on a terminal that is part of ``output``, and this is empty.
    var errorOutput: any AsyncSequence<[UInt8], any Error> & Sendable { get }

    /// Gives bytes to its standard input, and waits while it takes no more.
    ///
    /// - Throws: `LXCError` `invalidState` when it reads no more.
    func write(_ bytes: [UInt8]) async throws

    /// Ends its standard input; on a terminal it is what Ctrl-D is.
    func closeInput() async throws

    /// Tells it that its terminal has another size.
    ///
    /// - Throws: `LXCError` `invalidState` when it has no terminal.
    func resize(to size: TerminalSize) async throws

    /// Sends a signal to it and what it started, its process group; SIGKILL also to what has left that. A command that
    /// has ended is no error.
    ///
    /// - Throws: `LXCError` when it cannot be sent.
    func send(_ signal: GuestSignal) throws

    /// Waits for its end. A task that is cancelled meanwhile kills it, and waits a moment at the most until it is gone.
    ///
    /// - Returns: how it ended.
    /// - Throws: `CancellationError`, after it has been killed.
    func wait() async throws -> TerminationStatus
}
