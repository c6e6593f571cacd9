package import Foundation
package import LXCCore

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
    /// Makes a directory everybody may read, unless it is there.
    func makeDirectory(_ path: String) async throws
    /// Makes a directory nobody else can enter, unless it is there.
    ///
    /// - Throws: `LXCError` `unsafe` when somebody else can come to what is there.
    func makePrivateDirectory(_ path: String) async throws

    /// The contents of a regular file, or nil where there is none.
    ///
    /// - Throws: `LXCError` `limitExceeded` beyond `limit` bytes, `corrupt` when it is no regular file, `io`.
    func read(_ path: String, limit: Int) async throws -> [UInt8]?
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

/// A tree in a store.
package protocol StoredTree: TreeOrigin, TreeDestination {
    /// Removes it. What is not there is no error.
    func remove(pool: BlockingPool) async throws
    /// Refuses a root in which directories the host mounts on are something else.
    ///
    /// - Throws: `LXCError` `unsafe`.
    func requireSafeRoot(pool: BlockingPool) async throws
}

extension LocalTree: StoredTree {}
