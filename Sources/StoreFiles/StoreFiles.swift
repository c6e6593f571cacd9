// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
public import LXCCore

/// The place a store is in: small files and directories that are old or new after a crash, trees, and locks.
///
/// ``LocalStoreFiles`` is a directory of this host, another conforming type may be a directory of a server. All that a
/// primary store or a template store does is built on these calls, so a store for another place is one conforming type. To
/// change something of a place that exists, conform to ``DecoratedStoreFiles``.
///
/// Paths are relative to the place, with `/` between names; `""` is the place itself. Changes are durable when a call
/// returns. A call that throws has changed nothing, unless its documentation says otherwise. Every call may be made
/// from several tasks, processes and hosts concurrently.
public protocol StoreFiles: Sendable, CustomStringConvertible {
    /// The size of the place, and how much of it this process can still write, in bytes.
    func capacity() async throws -> (total: ByteCount, available: ByteCount)

    /// The time by the one clock that counts for all hosts which use the store.
    func now() async throws -> Date

    // MARK: Directories

    /// The type of the object at a path, or `nil` if there is none. Follows no symbolic link, except that the place
    /// itself may be one.
    func kind(of path: String) async throws -> StoredKind?
    /// The names in a directory, sorted; empty where there is no such directory.
    func list(_ path: String) async throws -> [String]
    /// The names in a directory with what they stand for, sorted, read in one pass; empty where there is no such directory.
    func scan(_ path: String) async throws -> [StoredName]
    /// Makes a directory everybody may read, unless it exists.
    func makeDirectory(_ path: String) async throws
    /// Makes a directory only its owner can enter, unless it exists.
    ///
    /// - Throws: `LXCError` `unsafe` if the directory exists and others can enter it.
    func makePrivateDirectory(_ path: String) async throws
    /// Checks directories only their owner can enter.
    ///
    /// - Returns: the missing directories.
    /// - Throws: `LXCError` `unsafe` if others can enter an existing one.
    func missing(ofPrivateDirectories paths: [String]) async throws -> [String]
    /// Removes a directory if it is empty. Does nothing if it does not exist.
    func removeEmptyDirectory(_ path: String) async throws

    // MARK: Access

    /// The users who can pass through the place to its contents.
    func passage() async throws -> StorePassage
    /// Lets only the owner and the users of `passage` pass through the place. Where the place cannot name single users,
    /// ``StorePassage/everyone`` decides.
    func setPassage(_ passage: StorePassage) async throws
    /// Refuses a place in which files do not get and keep the owners they are given.
    ///
    /// - Parameter directory: a directory to try it in.
    /// - Throws: `LXCError` `permissionDenied` saying what to change, `io`.
    func requireOwnership(in directory: String) async throws

    // MARK: Files

    /// The contents of a regular file, or `nil` if it does not exist.
    ///
    /// - Throws: `LXCError` `limitExceeded` beyond `limit` bytes, `corrupt` when it is not a regular file, `io`.
    func read(_ path: String, limit: Int) async throws -> [UInt8]?
    /// The contents of the regular files of a directory whose names `isWanted` accepts, read concurrently. Omits files
    /// removed in the meantime; empty if there is no such directory.
    func readAll(
        in path: String, limit: Int, where isWanted: @escaping @Sendable (String) -> Bool
    ) async throws -> [String: Result<[UInt8], LXCError>]
    /// Makes or replaces a file as a whole.
    func write(_ bytes: [UInt8], to path: String, mode: UInt16) async throws
    /// Gives a file that was made as a whole another name, replacing the file of that name.
    ///
    /// - Throws: `LXCError` `notFound` without the staged file, which then replaces nothing; `io`.
    func replace(_ path: String, with staged: String) async throws
    /// Creates a whole file unless the name is taken. Of several concurrent callers exactly one succeeds.
    ///
    /// - Returns: whether this call made it.
    func create(_ bytes: [UInt8], at path: String) async throws -> Bool
    /// Removes a file.
    ///
    /// - Returns: whether there was one.
    @discardableResult
    func remove(_ path: String) async throws -> Bool

    /// The file of that path, to be read piece by piece. Opens nothing.
    func file(_ path: String) -> any StoredFile
    /// Makes a file everybody may read, to be written from its beginning to its end. Blocks; called on a thread that may.
    ///
    /// - Throws: `LXCError` `alreadyExists`, `notFound` without the directory above, `permissionDenied`, `io`.
    func newFile(_ path: String, _ cancellation: Cancellation) throws -> any NewStoredFile

    /// Makes the contents of a file that another program wrote durable.
    func sync(_ path: String) async throws

    // MARK: Objects

    /// A text that distinguishes the object at a path from every other object of the place, also after a rename; `nil`
    /// if there is none.
    func identity(of path: String) async throws -> String?

    /// Renames a directory or a file to a name that must be free.
    ///
    /// When this throws, the object may have its new name nevertheless: the rename could not be made durable, or its
    /// answer was lost. Check ``identity(of:)``.
    ///
    /// - Throws: `LXCError` `alreadyExists`, `notFound`, `io`.
    func publish(_ staged: String, as path: String) async throws
    /// The directory of that path as a tree. Opens nothing.
    ///
    /// - Throws: `LXCError` `invalidArgument`, `unsafe` for a path that leads out of the place.
    func tree(_ path: String) throws -> any StoredTree

    // MARK: Locks

    /// Runs `body` holding a lock, waiting for it without a time limit. A succession of sharers does not starve an
    /// exclusive waiter.
    ///
    /// - Throws: what `body` throws; `CancellationError` when cancelled while waiting; `LXCError` `io`.
    func hold<Value>(
        _ lock: String, _ mode: StoreLock.Mode, _ body: (StoreLock) async throws -> Value
    ) async throws -> Value
    /// Runs `body` holding a lock, or returns `nil` immediately while another holder excludes this caller.
    ///
    /// A lock is named by the path of a file and excludes tasks, processes and hosts. It ends with its holder, however that
    /// ends.
    func tryHold<Value>(
        _ lock: String, _ mode: StoreLock.Mode, _ body: (StoreLock) async throws -> Value
    ) async throws -> Value?
    /// Removes the file of a lock that is free.
    func removeLock(_ lock: String) async throws
    /// Whether taking a lock makes a file, for which there must be room.
    var locksTakeSpace: Bool { get }
}

extension StoreFiles {
    /// Whether there is a directory at the path; a symbolic link to one does not count.
    package func isDirectory(_ path: String) async throws -> Bool { try await kind(of: path) == .directory }

    /// The contents of a small file, or `nil` if it does not exist.
    package func read(_ path: String) async throws -> [UInt8]? { try await read(path, limit: 1 << 20) }

    /// Makes or replaces a file as a whole; only its owner can read it.
    package func write(_ bytes: [UInt8], to path: String) async throws {
        try await write(bytes, to: path, mode: 0o600)
    }

    /// Runs `body` holding a lock exclusively.
    package func hold<Value>(_ lock: String, _ body: (StoreLock) async throws -> Value) async throws -> Value {
        try await hold(lock, .exclusive, body)
    }

    /// Runs `body`, which removes something, holding a lock whose file is removed with it. If there is no space for the
    /// lock's file, no one holds the lock: removing must be possible then, and continues without it. Not for shared
    /// locks.
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
