package import FileTree
package import Foundation
package import LXCCore
package import LinuxSystem

/// What a store needs of the place it is in: small files and directories that are old or new after a crash, trees, and
/// locks. A directory of this host is one such place, a directory of an NFS server another.
///
/// Paths are relative to the place, `""` is the place itself. What a call changed is durable when it returns.
package protocol StoreFiles: Sendable, CustomStringConvertible {
    /// How much there is and how much of it is free for this process, in bytes.
    func capacity() async throws -> (total: UInt64, available: UInt64)

    /// The time by the clock that counts for all who use the store.
    func now() async throws -> Date

    /// What is at a path, no symbolic link followed but one that is the place itself; nil where there is nothing.
    func kind(of path: String) async throws -> StoredKind?
    /// The names in a directory, sorted; none where there is no such directory.
    func list(_ path: String) async throws -> [String]
    /// The names in a directory with what they stand for, sorted, read in one pass; none where there is no such directory.
    func scan(_ path: String) async throws -> [StoredName]
    /// Makes a directory everybody may read, unless it is there.
    func makeDirectory(_ path: String) async throws
    /// Makes a directory nobody else can enter, unless it is there.
    ///
    /// - Throws: `LXCError` `unsafe` when somebody else can come to what is there.
    func makePrivateDirectory(_ path: String) async throws
    /// Looks at directories nobody else can enter.
    ///
    /// - Returns: those that are not there.
    /// - Throws: `LXCError` `unsafe` when somebody else can come to one that is.
    func missing(ofPrivateDirectories paths: [String]) async throws -> [String]
    /// Removes a directory if it is empty.
    func removeEmptyDirectory(_ path: String) async throws

    /// Who passes through the place to what is in it.
    func passage() async throws -> StorePassage
    /// Lets nobody but the owner, and those who are named, pass through the place. Where single users cannot be named,
    /// `everyone` decides.
    func setPassage(_ passage: StorePassage) async throws
    /// Refuses a place in which files do not get and keep the owners they are given.
    ///
    /// - Parameter directory: a directory to try it in.
    /// - Throws: `LXCError` `permissionDenied` saying what to change, `io`.
    func requireOwnership(in directory: String) async throws

    /// The contents of a regular file, or nil where there is none.
    ///
    /// - Throws: `LXCError` `limitExceeded` beyond `limit` bytes, `corrupt` when it is no regular file, `io`.
    func read(_ path: String, limit: Int) async throws -> [UInt8]?
    /// The contents of the regular files of a directory whose names `isWanted` accepts, read side by side. A file that
    /// goes away meanwhile is left out; none where there is no such directory.
    func readAll(
        in path: String, limit: Int, where isWanted: @escaping @Sendable (String) -> Bool
    ) async throws -> [String: Result<[UInt8], LXCError>]
    /// Makes or replaces a file as a whole.
    func write(_ bytes: [UInt8], to path: String, mode: UInt16) async throws
    /// Gives a file that was made as a whole another name, in the place of what has it. A file that is not there (any more)
    /// replaces nothing.
    ///
    /// - Throws: `LXCError` `notFound`, `io`.
    func replace(_ path: String, with staged: String) async throws
    /// Makes a file as a whole unless the name is taken, which of all that try one alone does.
    ///
    /// - Returns: whether it made it.
    func create(_ bytes: [UInt8], at path: String) async throws -> Bool
    /// Removes a file.
    ///
    /// - Returns: whether there was one.
    @discardableResult
    func remove(_ path: String) async throws -> Bool

    /// The file of that path, to be read piece by piece.
    func file(_ path: String) -> any StoredFile
    /// Makes a file everybody may read, to be written from its beginning to its end. Called on a thread that may block.
    ///
    /// - Throws: `LXCError` `alreadyExists`, `notFound` without the directory above, `permissionDenied`, `io`.
    func newFile(_ path: String, _ cancellation: Cancellation) throws -> any NewStoredFile

    /// Makes the contents of a file that another program wrote durable.
    func sync(_ path: String) async throws

    /// Tells the object at a path from every other the place has, whatever it is called; nil where there is nothing.
    func identity(of path: String) async throws -> String?

    /// Renames a directory or a file to a name that must be free.
    ///
    /// When this throws, the object may have its new name all the same: the rename was done and could not be made durable,
    /// or its answer was lost. ``identity(of:)`` tells.
    ///
    /// - Throws: `LXCError` `alreadyExists`, `notFound`, `io`.
    func publish(_ staged: String, as path: String) async throws
    /// The directory of that path as a tree; nothing is opened.
    ///
    /// - Throws: `LXCError` `invalidArgument`, `unsafe` for what is no path below the place.
    func tree(_ path: String) throws -> any StoredTree

    /// Runs `body` holding a lock, waiting for it as long as it takes. Those who share the lock do not keep an exclusive
    /// waiter out for ever.
    ///
    /// - Throws: what `body` throws; `CancellationError` when cancelled while waiting; `LXCError` `io`.
    func hold<Value>(
        _ lock: String, _ mode: FileLock.Mode, _ body: (StoreLock) async throws -> Value
    ) async throws -> Value
    /// Runs `body` holding a lock that is named by a file and excludes tasks, processes and hosts; nil at once while
    /// another keeps us out. The lock ends with its holder, however that ends.
    func tryHold<Value>(
        _ lock: String, _ mode: FileLock.Mode, _ body: (StoreLock) async throws -> Value
    ) async throws -> Value?
    /// Removes the file of a lock nobody holds.
    func removeLock(_ lock: String) async throws
    /// Whether taking a lock makes a file, for which there must be room.
    var locksTakeSpace: Bool { get }
}

/// A name in a directory, and what it stands for.
package struct StoredName: Hashable, Sendable {
    package var name: String
    package var kind: StoredKind

    /// Takes both.
    package init(_ name: String, _ kind: StoredKind) {
        self.name = name
        self.kind = kind
    }
}

/// Who passes through a place to what is in it, beside its owner and the superuser.
package struct StorePassage: Hashable, Sendable {
    /// The users who may, each by an entry of its own.
    package var users: Set<UInt32>
    /// Whether everybody may.
    package var everyone: Bool
    /// Whether single users can be named there.
    package var namesUsers: Bool
    /// Whether others can do more than that needs: list the place, write to it, pass as a group.
    package var isLoose: Bool

    /// Takes everything.
    package init(users: Set<UInt32> = [], everyone: Bool = false, namesUsers: Bool, isLoose: Bool = false) {
        self.users = users
        self.everyone = everyone
        self.namesUsers = namesUsers
        self.isLoose = isLoose
    }
}

/// What is at a path.
package enum StoredKind: Hashable, Sendable {
    case directory
    case file(size: UInt64)
    case other
}

/// A lock that is held.
package struct StoreLock: Sendable {
    private let check: @Sendable () async throws -> Void
    /// Whether it was taken from a holder that may be there all the same, and goes on when it is let: what that one has
    /// under way must find nothing.
    package let isTakenOver: Bool

    /// Creates a lock, given what ``confirm()`` does.
    package init(isTakenOver: Bool = false, _ check: @escaping @Sendable () async throws -> Void) {
        self.isTakenOver = isTakenOver
        self.check = check
    }

    /// Makes sure that the lock is still ours, and will be long enough for one more call: asked right before what others
    /// see.
    ///
    /// - Throws: `LXCError` `inUse` when it became another's.
    package func confirm() async throws { try await check() }
}

extension StoreFiles {
    /// Whether there is a directory of that path; a symbolic link to one is none.
    package func isDirectory(_ path: String) async throws -> Bool { try await kind(of: path) == .directory }

    /// The contents of a small file, or nil where there is none.
    package func read(_ path: String) async throws -> [UInt8]? { try await read(path, limit: 1 << 20) }

    /// Makes or replaces a file as a whole; only its owner can read it.
    package func write(_ bytes: [UInt8], to path: String) async throws {
        try await write(bytes, to: path, mode: 0o600)
    }

    /// Runs `body` holding a lock that keeps everyone else out.
    package func hold<Value>(_ lock: String, _ body: (StoreLock) async throws -> Value) async throws -> Value {
        try await hold(lock, .exclusive, body)
    }
}

extension StoreFiles {
    /// Runs `body`, which removes something, holding a lock whose file is removed with it. Where there is no room for
    /// that file nobody has the lock: removing must be possible then, and goes on without. Not for locks that are shared.
    package func holdToRemove<Value>(
        _ lock: String, _ body: (StoreLock) async throws -> Value
    ) async throws -> Value {
        var isHeld = false
        do {
            return try await hold(lock) {
                isHeld = true
                return try await body($0)
            }
        } catch let error as LXCError where !isHeld && error.isLackOfSpace {
            return try await body(StoreLock {})
        }
    }
}

/// A tree in a store.
package protocol StoredTree: TreeOrigin, TreeDestination {
    /// Removes it. What is not there is no error.
    func remove(pool: BlockingPool) async throws
    /// Refuses a root in which directories the host mounts on are something else.
    ///
    /// - Throws: `LXCError` `unsafe`.
    func requireSafeRoot(pool: BlockingPool) async throws
    /// Looks for what would keep it from being removed as a whole, before anything is changed.
    ///
    /// - Throws: `LXCError` `inUse` naming a mount point inside.
    func requireRemovable(pool: BlockingPool) async throws
}

extension LocalTree: StoredTree {}
