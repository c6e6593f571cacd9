// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
public import LXCCore

/// A place that passes calls on to another place.
///
/// A conforming type implements what it changes and inherits everything else:
///
/// ```swift
/// struct ReadOnlyFiles: DecoratedStoreFiles {
///     let base: any StoreFiles
///
///     func publish(_ staged: String, as path: String) async throws {
///         throw LXCError(.permissionDenied, "\(base) is kept as it is")
///     }
/// }
/// ```
public protocol DecoratedStoreFiles: StoreFiles {
    /// The place that calls are passed on to.
    var base: any StoreFiles { get }
}

extension DecoratedStoreFiles {
    /// The description of ``base``.
    public var description: String { base.description }

    /// Passes the call on to ``base``.
    public func capacity() async throws -> (total: ByteCount, available: ByteCount) { try await base.capacity() }

    /// Passes the call on to ``base``.
    public func now() async throws -> Date { try await base.now() }

    /// Passes the call on to ``base``.
    public func kind(of path: String) async throws -> StoredKind? { try await base.kind(of: path) }

    /// Passes the call on to ``base``.
    public func list(_ path: String) async throws -> [String] { try await base.list(path) }

    /// Passes the call on to ``base``.
    public func scan(_ path: String) async throws -> [StoredName] { try await base.scan(path) }

    /// Passes the call on to ``base``.
    public func makeDirectory(_ path: String) async throws { try await base.makeDirectory(path) }

    /// Passes the call on to ``base``.
    public func makePrivateDirectory(_ path: String) async throws { try await base.makePrivateDirectory(path) }

    /// Passes the call on to ``base``.
    public func missing(ofPrivateDirectories paths: [String]) async throws -> [String] {
        try await base.missing(ofPrivateDirectories: paths)
    }

    /// Passes the call on to ``base``.
    public func removeEmptyDirectory(_ path: String) async throws { try await base.removeEmptyDirectory(path) }

    /// Passes the call on to ``base``.
    public func passage() async throws -> StorePassage { try await base.passage() }

    /// Passes the call on to ``base``.
    public func setPassage(_ passage: StorePassage) async throws { try await base.setPassage(passage) }

    /// Passes the call on to ``base``.
    public func requireOwnership(in directory: String) async throws { try await base.requireOwnership(in: directory) }

    /// Passes the call on to ``base``.
    public func read(_ path: String, limit: Int) async throws -> [UInt8]? { try await base.read(path, limit: limit) }

    /// Passes the call on to ``base``.
    public func readAll(
        in path: String, limit: Int, where isWanted: @escaping @Sendable (String) -> Bool
    ) async throws -> [String: Result<[UInt8], LXCError>] {
        try await base.readAll(in: path, limit: limit, where: isWanted)
    }

    /// Passes the call on to ``base``.
    public func write(_ bytes: [UInt8], to path: String, mode: UInt16) async throws {
        try await base.write(bytes, to: path, mode: mode)
    }

    /// Passes the call on to ``base``.
    public func replace(_ path: String, with staged: String) async throws {
        try await base.replace(path, with: staged)
    }

    /// Passes the call on to ``base``.
    public func create(_ bytes: [UInt8], at path: String) async throws -> Bool {
        try await base.create(bytes, at: path)
    }

    /// Passes the call on to ``base``.
    public func remove(_ path: String) async throws -> Bool { try await base.remove(path) }

    /// Passes the call on to ``base``.
    public func file(_ path: String) -> any StoredFile { base.file(path) }

    /// Passes the call on to ``base``.
    public func newFile(_ path: String, _ cancellation: Cancellation) throws -> any NewStoredFile {
        try base.newFile(path, cancellation)
    }

    /// Passes the call on to ``base``.
    public func sync(_ path: String) async throws { try await base.sync(path) }

    /// Passes the call on to ``base``.
    public func identity(of path: String) async throws -> String? { try await base.identity(of: path) }

    /// Passes the call on to ``base``.
    public func publish(_ staged: String, as path: String) async throws { try await base.publish(staged, as: path) }

    /// Passes the call on to ``base``.
    public func tree(_ path: String) throws -> any StoredTree { try base.tree(path) }

    /// Passes the call on to ``base``.
    public func hold<Value>(
        _ lock: String, _ mode: StoreLock.Mode, _ body: (StoreLock) async throws -> Value
    ) async throws -> Value { try await base.hold(lock, mode, body) }

    /// Passes the call on to ``base``.
    public func tryHold<Value>(
        _ lock: String, _ mode: StoreLock.Mode, _ body: (StoreLock) async throws -> Value
    ) async throws -> Value? { try await base.tryHold(lock, mode, body) }

    /// Passes the call on to ``base``.
    public func removeLock(_ lock: String) async throws { try await base.removeLock(lock) }

    /// The value of ``base``.
    public var locksTakeSpace: Bool { base.locksTakeSpace }
}
