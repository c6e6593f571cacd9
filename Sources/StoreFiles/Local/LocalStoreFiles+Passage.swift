// SPDX-License-Identifier: Apache-2.0

import CLinux
import FileTree
import Glibc
import LXCCore
import LinuxSystem

/// The users who can pass through a store's directory: its owner, and users that its access ACL names one by one.
extension LocalStoreFiles {
    private static let attribute = "system.posix_acl_access"

    /// The owner's mode and the users the directory's access list names; the mode alone on a file system without lists.
    public func passage() async throws -> StorePassage {
        try await pool.run { [root] _ in
            let directory = try Self.open(root)
            let mode = try Self.mode(of: directory, root)
            guard let list = try Self.list(of: directory, root) else {
                // Without ACLs either everyone can pass or no one.
                return StorePassage(everyone: mode & 0o001 != 0, namesUsers: false, isLoose: mode & 0o066 != 0)
            }
            let isMasked = list.entries.contains { $0.tag == .mask && $0.permissions & 1 == 0 }
            let users = list.entries.filter { $0.tag == .user && $0.permissions == 1 && !isMasked }.map(\.id)
            let isLoose = list.entries.contains { entry in
                switch entry.tag {
                case .owner, .mask: false
                case .user: entry.permissions & ~1 != 0
                case .owningGroup, .group, .other: entry.permissions != 0
                }
            }
            return StorePassage(users: Set(users), everyone: mode & 0o001 != 0, namesUsers: true, isLoose: isLoose)
        }
    }

    /// Sets the directory's access list, or its mode on a file system without lists. The file system bounds the number of users.
    public func setPassage(_ passage: StorePassage) async throws {
        try await pool.run { [root] _ in
            let directory = try Self.open(root)
            let mode = try Self.mode(of: directory, root)
            if passage.namesUsers, !passage.users.isEmpty {
                try Self.set(passage.users, of: directory, root)
            } else {
                let bits: mode_t = passage.everyone && !passage.namesUsers ? 0o711 : 0o700
                guard fchmod(directory.raw, mode & 0o7000 | bits) == 0 else {
                    throw LXCError.lastSystemCall("fchmod", "keep others out of \(root.escapedForDisplay)")
                }
                // Its mask has no rights any more; an entry would become effective with the next chmod.
                if clinux_fremovexattr(directory.raw, Self.attribute) != 0, errno != ENODATA, errno != EOPNOTSUPP {
                    throw LXCError.lastSystemCall("fremovexattr", "keep others out of \(root.escapedForDisplay)")
                }
            }
            guard fsync(directory.raw) == 0 else {
                throw LXCError.lastSystemCall("fsync", "sync \(root.escapedForDisplay)")
            }
        }
    }

    /// A file system of this host does what root asks.
    public func requireOwnership(in directory: String) {}

    private static func open(_ root: String) throws -> Descriptor {
        guard let directory = Descriptor(root, flags: O_RDONLY | clinux_o_directory) else {
            throw LXCError.lastSystemCall("open", "open \(root.escapedForDisplay)")
        }
        return directory
    }

    private static func mode(of directory: borrowing Descriptor, _ root: String) throws -> mode_t {
        var status = stat()
        guard fstat(directory.raw, &status) == 0 else {
            throw LXCError.lastSystemCall("fstat", "look at \(root.escapedForDisplay)")
        }
        return status.st_mode & 0o7777
    }

    /// The directory's ACL, derived from its mode if it has none; nil on a file system without ACLs.
    private static func list(of directory: borrowing Descriptor, _ root: String) throws -> AccessControlList? {
        var value = [UInt8](repeating: 0, count: 65_536)
        let size = value.withUnsafeMutableBytes {
            clinux_fgetxattr(directory.raw, attribute, $0.baseAddress, $0.count)
        }
        if size >= 0 {
            guard let list = AccessControlList(Array(value[..<size])) else {
                throw LXCError(.corrupt, "the access list of \(root.escapedForDisplay) cannot be read; setfacl -b it")
            }
            return list
        }
        if errno == EOPNOTSUPP { return nil }
        guard errno == ENODATA else {
            throw LXCError.lastSystemCall("fgetxattr", "read the access list of \(root.escapedForDisplay)")
        }
        let mode = UInt16(try mode(of: directory, root) & 0o777)
        return AccessControlList([
            .init(tag: .owner, permissions: mode >> 6), .init(tag: .owningGroup, permissions: mode >> 3 & 7),
            .init(tag: .other, permissions: mode & 7),
        ])
    }

    private static func set(_ users: Set<UInt32>, of directory: borrowing Descriptor, _ root: String) throws {
        let classes: [AccessControlList.Entry] = [
            .init(tag: .owner, permissions: 7), .init(tag: .owningGroup, permissions: 0),
            .init(tag: .mask, permissions: 1), .init(tag: .other, permissions: 0),
        ]
        let list = AccessControlList(classes + users.map { .init(tag: .user, permissions: 1, id: $0) })
        let value = list.value
        let result = value.withUnsafeBytes {
            clinux_fsetxattr(directory.raw, attribute, $0.baseAddress, $0.count)
        }
        guard result != 0 else { return }
        let failure = LXCError.lastSystemCall("fsetxattr", "let users pass through \(root.escapedForDisplay)")
        // ext4 has room for some 500 entries, beyond which it says that no space is left.
        guard users.count > 20 else { throw failure }
        throw LXCError(
            .limitExceeded,
            "the access list of \(root.escapedForDisplay) has no space for \(users.count) users, who are the roots of "
                + "its unprivileged containers; delete volumes, or take another pool",
            cause: failure)
    }
}
