// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem

/// A directory under construction: under a hidden name beside its place, open to its owner alone, renamed when complete.
final class StagedDirectory {
    private let location: TreeLocation
    private let temporaryName: String
    private var isPublished = false
    /// The directory, open for reading.
    let root: Descriptor

    /// Makes the hidden directory; on btrfs a subvolume, so that the tree can be cloned by a snapshot later.
    ///
    /// - Throws: `LXCError` `alreadyExists` when the place is taken, `io` and others.
    convenience init(_ location: consuming TreeLocation) throws {
        try self.init(location) { parent, name in
            if clinux_create_subvolume(parent, name) == 0 { return }
            guard mkdirat(parent, name, 0o700) == 0 else {
                throw LXCError.lastSystemCall("mkdirat", "create a directory beside the destination")
            }
        }
        // A default ACL of the directory around would be inherited by everything inside.
        for attribute in ["system.posix_acl_default", "system.posix_acl_access"] {
            _ = clinux_fremovexattr(root.raw, attribute)
        }
        // As would the group of a directory with the setgid bit.
        _ = fchown(root.raw, geteuid(), getegid())
        _ = fchmod(root.raw, 0o700)
    }

    /// Makes the hidden directory a snapshot of a btrfs subvolume.
    ///
    /// - Returns: nil where that cannot be: another file system, a directory that is no subvolume, or a subvolume with
    ///   others or with mounts inside, which a snapshot leaves out.
    static func snapshot(of source: consuming Descriptor, at location: consuming TreeLocation) throws
        -> StagedDirectory?
    {
        let raw = source.raw
        guard clinux_is_subvolume(raw) == 1, clinux_holds_subvolumes(raw) == 0,
            MountTable.hasMounts(below: raw) == false
        else { return nil }
        do {
            return try StagedDirectory(location) { parent, name in
                guard clinux_snapshot_subvolume(parent, name, raw) == 0 else {
                    throw LXCError.lastSystemCall("ioctl BTRFS_IOC_SNAP_CREATE", "make a snapshot")
                }
            }
        } catch let error as LXCError {
            guard let cause = error.cause as? SystemCallError, noSnapshot.contains(cause.errno) else { throw error }
            return nil
        }
    }

    /// The errors if no snapshot can be made: the place is on another file system, or this process lacks the
    /// right.
    private static let noSnapshot: Set<CInt> = [EXDEV, ENOTTY, EPERM, EACCES, EOPNOTSUPP]

    /// The owner of what this process creates in the directory; `nil` if the file system may decide otherwise.
    var creator: (user: UInt32, group: UInt32)? {
        guard let status = FileStatus(of: root.raw), status.user == geteuid(), status.group == getegid() else {
            return nil
        }
        return (status.user, status.group)
    }

    /// Lets `make` make the directory under its hidden name.
    init(
        _ location: consuming TreeLocation, make: (_ parent: CInt, _ name: UnsafePointer<CChar>) throws -> Void
    ) throws {
        guard !location.isTaken else { throw location.taken }
        let name = location.makeHiddenName()
        try name.withCString { try make(location.parent.raw, $0) }
        let flags = O_RDONLY | clinux_o_directory | clinux_o_nofollow
        guard let root = Descriptor(name, in: location.parent.raw, flags: flags) else {
            let failure = LXCError.lastSystemCall("openat", "open the new directory \"\(name.escapedForDisplay)\"")
            unlinkat(location.parent.raw, name, AT_REMOVEDIR)
            throw failure
        }
        self.location = location
        self.root = root
        temporaryName = name
    }

    /// Makes everything durable if asked, and visible.
    func publish(durable: Bool) throws {
        if durable, clinux_syncfs(root.raw) != 0 {
            throw LXCError.lastSystemCall("syncfs", "make \"\(location.name.escapedForDisplay)\" durable")
        }
        try location.publish(temporaryName)
        isPublished = true
        if durable { try location.sync() }
    }

    /// Another descriptor of the directory.
    func openAgain() throws -> Descriptor {
        guard let again = Descriptor(".", in: root.raw, flags: O_RDONLY | clinux_o_directory) else {
            throw LXCError.lastSystemCall("openat", "open the new directory again")
        }
        return again
    }

    /// The strategy's name in summaries.
    static let snapshotStrategy = "snapshot"

    /// Publishes a snapshot in which nothing has to be changed or read.
    func finish(_ options: TreeCopyOptions) throws -> TreeSummary {
        let start = ContinuousClock.now
        if options.requiresSafeRoot { try SafeRoot.check(OpenRoot(root.raw)) }
        try publish(durable: options.durable)
        var summary = TreeSummary()
        summary.strategy = Self.snapshotStrategy
        summary.duration = ContinuousClock.now - start
        return summary
    }

    /// Removes everything.
    func abandon() {
        // A failure here cannot be reported: the failure that led here is.
        (isPublished ? location.name : temporaryName).withCString {
            try? TreeRemover(cancellation: nil).remove($0, in: location.parent.raw)
        }
    }
}
