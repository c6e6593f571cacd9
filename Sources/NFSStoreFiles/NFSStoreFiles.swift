// SPDX-License-Identifier: Apache-2.0

import FileTree
package import FoundationEssentials
public import LXCCore
import LinuxSystem
public import NFSClient
public import StoreFiles

/// A store's place in a directory of an NFS server, used without any mount.
///
/// An NFS server answers a call that changes names or attributes when the change is on disk (RFC 1813), so changes are
/// durable when a method returns.
package struct NFSStoreFiles: StoreFiles {
    let client: NFSClient
    private let ownership = NFSOwnershipSeen()
    private let holder: NFSLockHolder
    private let pool: BlockingPool

    /// Creates a place from the directory of a client.
    package init(_ client: NFSClient, pool: BlockingPool) {
        self.client = client
        self.pool = pool
        holder = NFSLockHolder.current
    }

    /// The URL without its parameters.
    package var description: String { client.url.place }

    package func capacity() async throws -> (total: ByteCount, available: ByteCount) {
        let statistics = try await client.statistics()
        return (ByteCount(statistics.totalBytes), ByteCount(statistics.availableBytes))
    }

    package func now() async throws -> Date { try await client.serverTime(touching: client.root) }

    // MARK: Directories

    package func kind(of path: String) async throws -> StoredKind? {
        guard let found = try await find(path) else { return nil }
        return switch found.type {
        case .directory: .directory
        case .file: .file(size: found.attributes.size)
        default: .other
        }
    }

    package func list(_ path: String) async throws -> [String] {
        guard let directory = try await find(path) else { return [] }
        return try await client.list(directory.handle).map { String(decoding: $0.name, as: UTF8.self) }.sorted()
    }

    package func makeDirectory(_ path: String) async throws {
        guard try await makeDirectory(path, mode: 0o755)?.type == .directory else {
            throw LXCError(.alreadyExists, "\(self)/\(path.escapedForDisplay) is there and no directory; rename it")
        }
    }

    package func makePrivateDirectory(_ path: String) async throws {
        try requirePrivate(try await makeDirectory(path, mode: 0o700, isOwn: true), path)
    }

    func requirePrivate(_ attributes: NFSAttributes?, _ path: String) throws {
        guard let attributes, attributes.type == .directory, attributes.mode & 0o077 == 0 else {
            throw LXCError(
                .unsafe,
                "\(self)/\(path.escapedForDisplay) must be a directory, no link, that belongs to one user alone; look "
                    + "who made it, then: chmod 700")
        }
    }

    /// Makes a directory unless the name is taken; returns the attributes of the object there. A directory that must be
    /// this client's own but gets another owner from the server is removed again.
    private func makeDirectory(_ path: String, mode: UInt16, isOwn: Bool = false) async throws -> NFSAttributes? {
        let (parent, name) = try await place(path)
        let made: NFSObject
        do {
            made = try await client.makeDirectory(name, in: parent, NFSNewAttributes(mode: mode))
        } catch let error as LXCError where error.code == .alreadyExists {
            return try await find(path)?.attributes
        } catch let error as LXCError where error.code == .permissionDenied {
            throw squashed("cannot make \(path) there", cause: error)
        }
        let attributes = if let known = made.attributes { known } else { try await client.attributes(of: made.handle) }
        guard !isOwn || attributes.user == client.user else {
            await withoutCancellation { [client] in try? await client.removeDirectory(name, in: parent) }
            throw squashed("directories do not keep their owners there", cause: nil)
        }
        return attributes
    }

    /// Refuses an export that maps this client's user to another: roots would get wrong owners later.
    ///
    /// - Throws: `LXCError` `permissionDenied` saying what to change on the server, `io`.
    package func requireOwnership(in directory: String) async throws {
        // A server does not change its mind while it is used.
        if ownership.isSeen { return }
        // Named like work in progress, so that garbage collection removes what a killed process leaves.
        let (parent, name) = try await place("\(directory)/\(UUID().uuidString.lowercased()).\(RandomName.make())")
        let made: NFSObject
        do {
            made = try await client.create(name, in: parent, .guarded(NFSNewAttributes(mode: 0o600)))
        } catch let error as LXCError where error.code == .permissionDenied {
            throw squashed("cannot make files there", cause: error)
        }
        let result: Result<Void, any Error>
        do { result = .success(try await requireOwnership(of: made.handle)) } catch { result = .failure(error) }
        await discard(name, in: parent)
        try result.get()
        ownership.isSeen = true
    }

    private func requireOwnership(of file: NFSHandle) async throws {
        // An owner that the server maps no one to, and a mode bit that only the owner's superuser keeps.
        let wanted = NFSNewAttributes(mode: 0o4700, user: 12_345, group: 23_456)
        do {
            try await client.setAttributes(NFSNewAttributes(user: wanted.user, group: wanted.group), of: file)
            try await client.setAttributes(NFSNewAttributes(mode: wanted.mode), of: file)
        } catch let error as LXCError where error.code == .permissionDenied {
            throw squashed("cannot give files to other users there", cause: error)
        }
        let found = try await client.attributes(of: file)
        guard found.user == wanted.user, found.group == wanted.group, found.mode == wanted.mode else {
            throw squashed("files do not keep their owners there", cause: nil)
        }
    }

    private func squashed(_ what: String, cause: (any Error)?) -> LXCError {
        LXCError(
            .permissionDenied,
            "\(what): the server maps the superuser of \(self) to another user, or exports it read-only; export it "
                + "with rw and no_root_squash (for nfs-ganesha: Access_Type = RW, Squash = No_Root_Squash)",
            cause: cause)
    }

    // MARK: Files

    package func read(_ path: String, limit: Int) async throws -> [UInt8]? {
        guard let file = try await find(path) else { return nil }
        guard file.type == .file else { throw LXCError(.corrupt, "\(self)/\(path) is not a regular file") }
        return try await client.contents(of: file.handle, limit: limit)
    }

    package func write(_ bytes: [UInt8], to path: String, mode: UInt16) async throws {
        let (parent, name) = try await place(path)
        let (staged, file) = try await stage(bytes, beside: name, in: parent, mode: mode)
        do {
            try await client.rename(staged, in: parent, to: name, in: parent, of: file)
        } catch {
            await discard(staged, in: parent)
            throw error
        }
    }

    package func replace(_ path: String, with staged: String) async throws {
        let (from, name) = try await place(staged)
        let (to, newName) = try await place(path)
        let object = try await client.lookUp(name, in: from)
        try await client.rename(name, in: from, to: newName, in: to, of: object)
    }

    package func create(_ bytes: [UInt8], at path: String) async throws -> Bool {
        let (parent, name) = try await place(path)
        let (staged, file) = try await stage(bytes, beside: name, in: parent, mode: 0o600)
        let result: Result<Void, any Error>
        do {
            result = .success(try await client.link(file.handle, to: name, in: parent))
        } catch {
            result = .failure(error)
        }
        await discard(staged, in: parent)
        do {
            try result.get()
            return true
        } catch let error as LXCError where error.code == .alreadyExists {
            return false
        }
    }

    /// A new file with the bytes, under a name of its own.
    private func stage(
        _ bytes: [UInt8], beside name: [UInt8], in parent: NFSHandle, mode: UInt16
    ) async throws -> (name: [UInt8], file: NFSObject) {
        let staged = name + Array(".\(RandomName.make())".utf8)
        let file = try await client.create(staged, in: parent, .guarded(NFSNewAttributes(mode: mode)))
        do {
            var rest = SharedBytes(copying: bytes)
            var offset: UInt64 = 0
            while !rest.isEmpty {
                let written = try await client.write(rest, to: file.handle, at: offset, .file)
                offset += UInt64(written.count)
                rest = rest.dropFirst(written.count)
            }
            return (staged, file)
        } catch {
            await discard(staged, in: parent)
            throw error
        }
    }

    /// Removes a staged file; one that cannot be removed is garbage. Completes in a cancelled task, too.
    private func discard(_ name: [UInt8], in parent: NFSHandle) async {
        await withoutCancellation { [client] in try? await client.remove(name, in: parent) }
    }

    package func remove(_ path: String) async throws -> Bool {
        guard let (parent, name) = try await existingPlace(path) else { return false }
        do {
            try await client.remove(name, in: parent)
            return true
        } catch let error as LXCError where error.code == .notFound {
            return false
        }
    }

    package func file(_ path: String) -> any StoredFile { NFSFile(path, in: client) }

    package func newFile(_ path: String, _ cancellation: Cancellation) throws -> any NewStoredFile {
        try NFSFileWriter(TreePath(path), in: client, cancellation)
    }

    /// A mount gives the server all of a file when it is closed, to be kept.
    package func sync(_ path: String) {}

    // MARK: Trees

    package func publish(_ staged: String, as path: String) async throws {
        let (from, name) = try await place(staged)
        let (to, newName) = try await place(path)
        // NFS replaces an empty directory; the caller's lock excludes others between the two calls.
        guard try await find(path) == nil else {
            throw LXCError(.alreadyExists, "there is a \(path.escapedForDisplay) in \(self) already")
        }
        let object = try await client.lookUp(name, in: from)
        try await client.rename(name, in: from, to: newName, in: to, of: object)
    }

    package func identity(of path: String) async throws -> String? {
        guard let found = try await find(path) else { return nil }
        return "\(found.attributes.fileSystem) \(found.attributes.fileID)"
    }

    package func tree(_ path: String) throws -> any StoredTree { NFSTree(try TreePath(path), in: client) }

    // MARK: Locks

    package func hold<Value>(
        _ lock: String, _ mode: StoreLock.Mode, _ body: (StoreLock) async throws -> Value
    ) async throws -> Value {
        try Self.requireLocks(client.url)
        let (parent, name) = try await place(lock)
        return try await NFSLock(client, parent, String(decoding: name, as: UTF8.self), holder).hold(mode, body)
    }

    package func tryHold<Value>(
        _ lock: String, _ mode: StoreLock.Mode, _ body: (StoreLock) async throws -> Value
    ) async throws -> Value? {
        try Self.requireLocks(client.url)
        let (parent, name) = try await place(lock)
        return try await NFSLock(client, parent, String(decoding: name, as: UTF8.self), holder).tryHold(mode, body)
    }

    /// Refuses versions of NFS without locks: they need a change of attributes on the condition that no one else
    /// changed them, in one step, which only NFSv3 has (sattrguard3).
    ///
    /// - Throws: `LXCError` `unsupported`.
    package static func requireLocks(_ url: NFSURL) throws {
        guard url.version == 3 else {
            throw LXCError(
                .unsupported,
                "\(url.place): stores are changed over NFS version 3 alone, which hosts can exclude each other by; leave "
                    + "version=\(url.version) out of the URL")
        }
    }

    package var locksTakeSpace: Bool { true }

    package func removeLock(_ lock: String) async throws {
        let (parent, name) = try await place(lock)
        try await NFSLock.removeStale(client, parent, name, holder)
    }

    // MARK: Paths

    func find(_ path: String) async throws -> (handle: NFSHandle, type: NFSFileType, attributes: NFSAttributes)? {
        guard let found = try await client.find(path.isEmpty ? .root : TreePath(path)) else { return nil }
        let attributes =
            if !path.isEmpty, let known = found.attributes { known } else {
                try await client.attributes(of: found.handle)
            }
        return (found.handle, attributes.type, attributes)
    }

    private func place(_ path: String) async throws -> (parent: NFSHandle, name: [UInt8]) {
        guard let place = try await existingPlace(path) else {
            throw LXCError(.notFound, "\(self)/\(path.escapedForDisplay) is in no directory")
        }
        return place
    }

    func existingPlace(_ path: String) async throws -> (parent: NFSHandle, name: [UInt8])? {
        let path = try TreePath(path)
        guard let above = path.parent, let parent = try await client.find(above) else { return nil }
        return (parent.handle, Array(path.name))
    }
}

extension NFSTree: StoredTree {
    /// Mounts of the server inside the tree are found, and refused, during the removal: searching for them first would
    /// be a second walk over the network. Mounts of this host are elsewhere.
    public func requireRemovable(pool: BlockingPool) async throws {}

    /// Removes the directory and everything below, or the file.
    public func remove(pool: BlockingPool) async throws { try await remove(onlyDirectory: false, pool: pool) }
}
