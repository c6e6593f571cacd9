// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem
import Synchronization

/// Copies the contents of local files, one after the other, in the best way available, and hashes them where a
/// digest is wanted.
struct ContentMover {
    private static let bufferSize = 256 << 10
    /// The number of bytes the kernel copies between two checks of the cancellation.
    private static let copySize: UInt64 = 16 << 20

    private let tree: LocalWalkTree
    private let strategy: TreeCopyOptions.Strategy
    private let hashes: Bool
    private let hasher = ContentHasher()
    private let buffer = Buffer()
    private var mayShare: Bool
    private var mayCopy = true
    /// Whether any contents were shared, and whether any were copied by the kernel.
    private(set) var shared = false
    private(set) var copied = false

    /// Freed with its last user.
    private final class Buffer {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferSize, alignment: 4096)
        deinit { memory.deallocate() }
    }

    /// Creates a mover on the shared state.
    init(_ tree: LocalWalkTree) {
        self.tree = tree
        strategy = tree.options.strategy
        hashes = tree.options.computesDigest
        mayShare = strategy == .auto || strategy == .reflink
    }

    /// Moves the contents of `file` up to `size` to the empty file open as `target`; only reads them if there is no
    /// target.
    ///
    /// - Returns: the hash of the contents where a digest is wanted.
    mutating func move(_ file: OpenFile, of entry: TreeEntry, size: UInt64, to target: CInt?) throws -> Hash? {
        var isMoved = size == 0
        if let target, size > 0 {
            if try share(file, size, entry.path, to: target) {
                return hashes ? try hash(file, size, sharedWith: target, entry.path) : nil
            }
            if !hashes { isMoved = try copy(file, size, entry.path, to: target) }
        }
        guard hashes || (!isMoved && target != nil) else { return nil }
        if hashes { hasher.begin(size: size) }
        let end = try read(file, entry.path, to: isMoved ? nil : target)
        if let target, !isMoved, end < size { try Descriptor.extend(target, to: size, of: entry.path) }
        return hashes ? hasher.finish() : nil
    }

    /// Hashes the contents of a clone. They equal those of its source as long as that is not written to, and the source
    /// may be in the page cache, which never holds the clone; if the source was written to, the clone is read.
    private func hash(_ file: OpenFile, _ size: UInt64, sharedWith clone: CInt, _ path: TreePath) throws -> Hash {
        if file.showsChanges {
            hasher.begin(size: size)
            do {
                _ = try read(file, path, to: nil)
                if file.isUnchanged { return hasher.finish() }
            } catch let error as LXCError where error.code == .io {
                // It became shorter, which the clone did not.
            }
        }
        file.readClone(clone)
        hasher.begin(size: size)
        _ = try read(file, path, to: nil)
        return hasher.finish()
    }

    /// Reads all contents, hashes and writes them; returns where they end.
    private func read(_ file: OpenFile, _ path: TreePath, to target: CInt?) throws -> UInt64 {
        var end: UInt64 = 0
        while let (offset, bytes) = try file.nextPiece(into: buffer.memory) {
            try tree.cancellation.check()
            end = offset + UInt64(bytes.count)
            try tree.accounting.withLock { try $0.count(UInt64(bytes.count), of: path) }
            if hashes { hasher.update(bytes, at: offset) }
            if let target { try Descriptor.write(bytes, at: offset, of: path, to: target) }
        }
        return end
    }

    /// Makes the target share all extents of the file; false where the file systems cannot.
    private mutating func share(_ file: OpenFile, _ size: UInt64, _ path: TreePath, to target: CInt) throws -> Bool {
        guard mayShare else { return false }
        let failure = Self.share(file.descriptor.raw, with: target)
        guard failure != 0 else {
            shared = true
            let made = FileStatus(of: target)?.size ?? 0
            guard made >= size else { throw file.shrank() }
            // The file may have grown since it was looked at. Setting a size that is right already is far from free.
            if made != size { try Descriptor.extend(target, to: size, of: path) }
            return true
        }
        let ofFileSystem = [EOPNOTSUPP, EXDEV, ENOTTY, ENOSYS].contains(failure)
        guard ofFileSystem || [EINVAL, EPERM, ETXTBSY].contains(failure) else {
            throw LXCError.systemCall("ioctl FICLONE", errno: failure, "share the extents of \"\(path)\"")
        }
        guard strategy != .reflink else {
            throw LXCError(
                .unsupported, "\"\(path)\" cannot share its extents with its clone; use the strategy auto or copy")
        }
        // The state of one file does not apply to another.
        if ofFileSystem { mayShare = false }
        return false
    }

    /// Returns 0 or the errno.
    private static func share(_ source: CInt, with target: CInt) -> CInt {
        guard clinux_clone_file(target, source) != 0 else { return 0 }
        let failure = errno
        guard failure == EINVAL, clinux_copy_nocow(target, source) == 1 else { return failure }
        return clinux_clone_file(target, source) == 0 ? 0 : errno
    }

    /// Lets the kernel copy; false where it cannot.
    private mutating func copy(_ file: OpenFile, _ size: UInt64, _ path: TreePath, to target: CInt) throws -> Bool {
        guard mayCopy else { return false }
        var end: UInt64 = 0
        while let extent = try file.nextExtent() {
            var offset = extent.lowerBound
            while offset < extent.upperBound {
                try tree.cancellation.check()
                let wanted = Int(min(extent.upperBound - offset, Self.copySize))
                let count = Descriptor.retrying {
                    clinux_copy_file_range(file.descriptor.raw, off_t(offset), target, off_t(offset), wanted)
                }
                if count < 0, end == 0, [EXDEV, EOPNOTSUPP, EINVAL, ENOSYS].contains(errno) {
                    mayCopy = false
                    file.rewind()
                    return false
                }
                guard count >= 0 else { throw LXCError.lastSystemCall("copy_file_range", "copy \"\(path)\"") }
                guard count > 0 else { throw file.shrank() }
                offset += UInt64(count)
                end = offset
                try tree.accounting.withLock { try $0.count(UInt64(count), of: path) }
            }
        }
        if end < size { try Descriptor.extend(target, to: size, of: path) }
        copied = true
        return true
    }
}
