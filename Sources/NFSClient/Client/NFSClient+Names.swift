// SPDX-License-Identifier: Apache-2.0

public import FileTree
import LXCCore

/// Names are bytes: not empty, neither `.` nor `..`, without slash and NUL. Others throw `LXCError` `invalidArgument`.
extension NFSClient {
    // MARK: Finding

    /// Looks up a name of a directory (LOOKUP). Symbolic links are not followed.
    ///
    /// - Throws: `LXCError` `notFound`, `permissionDenied`, `io`.
    public func lookUp(_ name: some Sequence<UInt8>, in directory: NFSHandle) async throws -> NFSObject {
        let name = try checked(name)
        let reply = try await perform(.lookUp(name, in: directory), "find \"\(directory.pathOf(name))\"")
        return try object(reply, name, directory, "LOOKUP")
    }

    /// Looks up a path below ``root``; nil if it does not exist. Symbolic links are not followed.
    ///
    /// - Throws: as ``lookUp(_:in:)``, but for `notFound`.
    public func find(_ path: TreePath) async throws -> NFSObject? {
        var found = NFSObject(root, rootAttributes)
        do {
            for name in path.components { found = try await lookUp(name, in: found.handle) }
        } catch let error as LXCError {
            guard error.code == .notFound || (error.cause as? NFSError)?.status == .notDirectory else { throw error }
            return nil
        }
        return found
    }

    /// All names of a directory with what they stand for (READDIRPLUS), in the server's order.
    ///
    /// - Throws: `LXCError` `limitExceeded` when there are more than `limit`, `notFound`, `permissionDenied`, `io`.
    public func list(_ directory: NFSHandle, limit: Int = 10_000_000) async throws -> [NFSDirectoryEntry] {
        var listing = NFSListing(directory, limit: limit)
        while let call = listing.next {
            let result: Result<NFSReply, NFSFailure>
            do {
                result = .success(try await perform(call, "list \"\(directory)\""))
            } catch let error as LXCError {
                guard let refusal = error.cause as? NFSError, listing.restarts(after: refusal.status) else {
                    throw error
                }
                continue
            }
            try listing.take(result.get())
        }
        return listing.entries
    }

    // MARK: Making

    /// Creates a regular file (CREATE).
    ///
    /// - Throws: `LXCError` `alreadyExists`, `permissionDenied`, `io`.
    public func create(
        _ name: some Sequence<UInt8>, in directory: NFSHandle, _ creation: NFSCreation
    ) async throws -> NFSObject {
        let name = try checked(name)
        return try await make(.create(name, in: directory, creation), name, directory)
    }

    /// Makes a directory (MKDIR).
    ///
    /// - Throws: `LXCError` `alreadyExists`, `permissionDenied`, `io`.
    public func makeDirectory(
        _ name: some Sequence<UInt8>, in directory: NFSHandle, _ attributes: NFSNewAttributes
    ) async throws -> NFSObject {
        let name = try checked(name)
        return try await make(.makeDirectory(name, in: directory, attributes), name, directory)
    }

    /// Makes a symbolic link (SYMLINK). Servers may pass over the attributes.
    ///
    /// - Throws: `LXCError` `alreadyExists`, `permissionDenied`, `unsupported`, `io`.
    public func makeSymbolicLink(
        _ name: some Sequence<UInt8>, in directory: NFSHandle, to target: some Sequence<UInt8>,
        _ attributes: NFSNewAttributes = NFSNewAttributes()
    ) async throws -> NFSObject {
        let (name, target) = (try checked(name), Array(target))
        guard !target.isEmpty, !target.contains(0) else {
            throw LXCError(.invalidArgument, "a symbolic link needs a target without NUL")
        }
        return try await make(
            .makeSymbolicLink(name, in: directory, target: target, attributes), name, directory)
    }

    /// Makes a device or FIFO (MKNOD).
    ///
    /// - Throws: `LXCError` `alreadyExists`, `permissionDenied`, `unsupported`, `io`.
    public func makeNode(
        _ name: some Sequence<UInt8>, in directory: NFSHandle, _ node: NFSNode,
        _ attributes: NFSNewAttributes = NFSNewAttributes()
    ) async throws -> NFSObject {
        let name = try checked(name)
        return try await make(.makeNode(name, in: directory, node, attributes), name, directory)
    }

    /// Gives a file a further name (LINK).
    ///
    /// - Throws: `LXCError` `alreadyExists`, `permissionDenied`, `unsupported`, `io`.
    public func link(_ file: NFSHandle, to name: some Sequence<UInt8>, in directory: NFSHandle) async throws {
        let name = try checked(name)
        _ = try await perform(.link(file, name, in: directory), "link \"\(directory.pathOf(name))\"")
    }

    /// The target of a symbolic link (READLINK): untrusted bytes.
    ///
    /// - Throws: `LXCError` `notFound`, `io`.
    public func readLink(_ link: NFSHandle) async throws -> [UInt8] {
        guard case .target(let target) = try await perform(.readLink(link), "read the link \"\(link)\"") else {
            throw Self.senseless("READLINK")
        }
        return target
    }

    // MARK: Changing

    /// Gives what has one name another (RENAME). What has the new name is replaced, if it may be: a file by a file, an
    /// empty directory by a directory.
    ///
    /// - Throws: `LXCError` `notFound`, `alreadyExists`, `permissionDenied`, `io`.
    public func rename(
        _ name: some Sequence<UInt8>, in directory: NFSHandle, to newName: some Sequence<UInt8>,
        in newDirectory: NFSHandle
    ) async throws {
        try await rename(name, in: directory, to: newName, in: newDirectory, of: lookUp(name, in: directory))
    }

    /// Renames the object that has the name. If the answer is lost and the name belongs to another object by now, that
    /// object keeps it.
    package func rename(
        _ name: some Sequence<UInt8>, in directory: NFSHandle, to newName: some Sequence<UInt8>,
        in newDirectory: NFSHandle, of object: NFSObject
    ) async throws {
        let (name, newName) = (try checked(name), try checked(newName))
        _ = try await perform(
            .rename(name, in: directory, to: newName, below: newDirectory, of: object),
            "rename \"\(directory.pathOf(name))\" to \"\(newDirectory.pathOf(newName))\"")
    }

    /// Removes a name of anything but a directory (REMOVE).
    ///
    /// - Throws: `LXCError` `notFound`, `permissionDenied`, `io`.
    public func remove(_ name: some Sequence<UInt8>, in directory: NFSHandle) async throws {
        try await remove(name, in: directory, of: lookUp(name, in: directory).handle)
    }

    /// Removes the object that has the name. If the answer is lost and the name belongs to another object by now, that
    /// object keeps it.
    package func remove(
        _ name: some Sequence<UInt8>, in directory: NFSHandle, of object: NFSHandle
    ) async throws {
        let name = try checked(name)
        _ = try await perform(.remove(name, in: directory, of: object), "remove \"\(directory.pathOf(name))\"")
    }

    /// Removes an empty directory (RMDIR).
    ///
    /// - Throws: `LXCError` `notFound`, `alreadyExists` when it is not empty, `permissionDenied`, `io`.
    public func removeDirectory(_ name: some Sequence<UInt8>, in directory: NFSHandle) async throws {
        let name = try checked(name)
        let object = try await lookUp(name, in: directory).handle
        _ = try await perform(
            .removeDirectory(name, in: directory, of: object), "remove \"\(directory.pathOf(name))\"")
    }

    // MARK: Parts

    private func make(_ call: NFSCall, _ name: [UInt8], _ directory: NFSHandle) async throws -> NFSObject {
        let reply = try await perform(call, "create \"\(directory.pathOf(name))\"")
        return try object(reply, name, directory, call.procedure)
    }

    private func object(
        _ reply: NFSReply, _ name: [UInt8], _ directory: NFSHandle, _ procedure: String
    ) throws -> NFSObject {
        guard case .object(let bytes?, let attributes) = reply else { throw Self.senseless(procedure) }
        return NFSObject(NFSHandle(bytes: bytes, path: directory.pathOf(name)), attributes)
    }

    private func checked(_ name: some Sequence<UInt8>) throws -> [UInt8] {
        let name = Array(name)
        guard !name.isEmpty, name != [46], name != [46, 46], !name.contains(UInt8(ascii: "/")), !name.contains(0) else {
            throw LXCError(
                .invalidArgument, "\"\(String(escapingForDisplay: name))\" is not a valid name in a directory")
        }
        return name
    }
}
