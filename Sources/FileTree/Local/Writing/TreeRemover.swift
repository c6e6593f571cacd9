// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem

/// Removes a name and everything below it, from descriptor to name: never through a symbolic link, never into another
/// mount. Names removed by other programs in the meantime are ignored, and an entry that cannot be removed does not
/// stop the removal of the rest.
struct TreeRemover {
    /// The number of times a removal returns to a directory because names were added while it was emptied.
    private static let returns = 1_000

    let cancellation: Cancellation?

    /// Searches the tree for mount points, so that a refusal comes before anything is removed. A tree that passes can
    /// be renamed: the protection of its top is removed.
    ///
    /// - Throws: `LXCError` `inUse` with the mount point's path.
    func check(_ name: UnsafePointer<CChar>, in parent: CInt) throws {
        guard let stack = try start(name, in: parent, mayChange: false) else { return }
        while stack.depth > 0 {
            try cancellation?.check()
            let step = try stack.withNextName { next in
                let (name, bytes) = (next.pointer, next.bytes)
                guard let status = try status(of: name, bytes, in: stack), status.type == S_IFDIR else {
                    return Step.done
                }
                return try descend(name, bytes, in: stack, mayChange: false)
            }
            if case .down(let descriptor, let status, let name)? = step {
                try stack.push(Descriptor(adopting: descriptor), name: name, status: status)
            } else if step == nil {
                _ = try stack.pop()
            }
        }
        clearProtection(of: name, in: parent)
    }

    /// Removes the tree, or the file.
    ///
    /// - Throws: `LXCError` naming what could not be removed, when all else is.
    func remove(_ name: UnsafePointer<CChar>, in parent: CInt) throws {
        guard let stack = try start(name, in: parent, mayChange: true) else {
            return try delete(name, in: parent, flags: 0, isOurs: false, shown: shown(name))
        }
        if removeSubvolume(stack.top, name, in: parent) { return }
        var levels = [Level()]
        var failures = RemovalFailures()
        var returnsLeft = Self.returns
        while true {
            try cancellation?.check()
            let step = try stack.withNextName { try visit($0, in: stack, &levels[levels.count - 1], &failures) }
            if case .down(let descriptor, let status, let name)? = step {
                do {
                    try stack.push(Descriptor(adopting: descriptor), name: name, status: status)
                    levels.append(Level())
                } catch {
                    try failures.add(error)
                    levels[levels.count - 1].kept.insert(name)
                }
            } else if step == nil {
                if levels[levels.count - 1].hasMoved, returnsLeft > 0, try stack.readNamesAgain() {
                    levels[levels.count - 1].hasMoved = false
                    returnsLeft -= 1
                    continue
                }
                let isEmptied = levels.removeLast().kept.isEmpty
                let child = try stack.pop()
                guard stack.depth > 0 else {
                    if let failure = failures.error { throw failure }
                    return try delete(name, in: parent, flags: AT_REMOVEDIR, isOurs: false, shown: shown(name))
                }
                do {
                    guard isEmptied else { throw Kept() }
                    let path = { stack.path(of: child).description }
                    try withCString(child) {
                        try delete($0, in: stack.top, flags: AT_REMOVEDIR, isOurs: true, shown: path())
                    }
                } catch {
                    if !(error is Kept) { try failures.add(error) }
                    levels[levels.count - 1].kept.insert(child)
                }
            }
        }
    }

    /// The state of a directory on the way down.
    private struct Level {
        /// Names that stay, because they, or something below them, cannot be removed.
        var kept: Set<[UInt8]> = []
        /// Whether there was anything else since the names were read.
        var hasMoved = false
    }

    /// An entry below a directory could not be removed, so the directory stays, too.
    private struct Kept: Error {}

    /// Removes a name of the deepest directory, or descends into it.
    private func visit(
        _ next: DirectoryNames.Name, in stack: DirectoryStack, _ level: inout Level, _ failures: inout RemovalFailures
    ) throws -> Step {
        let (name, bytes) = (next.pointer, next.bytes)
        if !level.kept.isEmpty, level.kept.contains(Array(bytes)) { return .done }
        level.hasMoved = true
        do {
            guard let status = try status(of: name, bytes, in: stack) else { return .done }
            guard status.type == S_IFDIR else {
                let path = { stack.path(of: bytes).description }
                try delete(name, in: stack.top, flags: 0, isOurs: true, shown: path())
                return .done
            }
            let step = try descend(name, bytes, in: stack, mayChange: true)
            if case .down(let descriptor, _, _) = step, removeSubvolume(descriptor, name, in: stack.top) {
                close(descriptor)
                return .done
            }
            return step
        } catch {
            try failures.add(error)
            level.kept.insert(Array(bytes))
            return .done
        }
    }

    /// Removes a btrfs subvolume in one step, read-only or not; false for anything else, and for a subvolume that
    /// contains others: its contents are removed name by name after it is made writable.
    private func removeSubvolume(_ descriptor: CInt, _ name: UnsafePointer<CChar>, in parent: CInt) -> Bool {
        guard clinux_is_subvolume(descriptor) == 1 else { return false }
        _ = clinux_make_subvolume_writable(descriptor)
        return clinux_destroy_subvolume(parent, name) == 0
    }

    private enum Step {
        case done
        case down(CInt, FileStatus, name: [UInt8])
    }

    /// Opens the tree's top; nil if it does not exist or is not a directory.
    private func start(_ name: UnsafePointer<CChar>, in parent: CInt, mayChange: Bool) throws -> DirectoryStack? {
        guard let status = FileStatus(of: name, in: parent) else {
            if errno == ENOENT { return nil }
            throw LXCError.lastSystemCall("statx", "look at \"\(shown(name))\"")
        }
        guard let parentStatus = FileStatus(of: parent) else {
            throw LXCError.lastSystemCall("statx", "look at the directory of \"\(shown(name))\"")
        }
        guard status.isOnSameMount(as: parentStatus) else { throw mounted(shown(name)) }
        guard status.type == S_IFDIR,
            case .down(let descriptor, let opened, _) =
                try descend(name, [], in: parent, mayChange: mayChange, shown: shown(name))
        else { return nil }
        return try DirectoryStack(root: Descriptor(adopting: descriptor), status: opened)
    }

    /// The status of a name in the deepest directory; `nil` if it is gone.
    private func status(
        of name: UnsafePointer<CChar>, _ bytes: ArraySlice<UInt8>, in stack: DirectoryStack
    ) throws -> FileStatus? {
        guard let status = FileStatus(of: name, in: stack.top) else {
            if errno == ENOENT { return nil }
            throw LXCError.lastSystemCall("statx", "look at \"\(stack.path(of: bytes))\"")
        }
        guard status.isOnSameMount(as: stack.root) else { throw mounted(stack.path(of: bytes).description) }
        return status
    }

    private func descend(
        _ name: UnsafePointer<CChar>, _ bytes: ArraySlice<UInt8>, in stack: DirectoryStack, mayChange: Bool
    ) throws -> Step {
        let path = { stack.path(of: bytes).description }
        return try descend(name, bytes, in: stack.top, mayChange: mayChange, shown: path())
    }

    private func descend(
        _ name: UnsafePointer<CChar>, _ bytes: ArraySlice<UInt8>, in directory: CInt, mayChange: Bool,
        shown: @autoclosure () -> String
    ) throws -> Step {
        let flags = O_RDONLY | clinux_o_directory | clinux_o_nofollow
        var opened = Descriptor(name, in: directory, flags: flags)
        if opened == nil, errno == EACCES {
            // The owner may lack access; before anything is removed nothing is changed either, and the second
            // pass looks for mounts again.
            guard mayChange, makeAccessible(name, in: directory) else {
                if !mayChange { return .done }
                throw LXCError.systemCall("openat", errno: EACCES, "open the directory \"\(shown())\"")
            }
            opened = Descriptor(name, in: directory, flags: flags)
        }
        guard let opened, let status = FileStatus(of: opened.raw) else {
            // Gone, or no longer a directory: its replacement is found when the directory above is emptied.
            if errno == ENOENT || errno == ENOTDIR || errno == ELOOP { return .done }
            throw LXCError.lastSystemCall("openat", "open the directory \"\(shown())\"")
        }
        return .down(opened.release(), status, name: Array(bytes))
    }

    private func makeAccessible(_ name: UnsafePointer<CChar>, in directory: CInt) -> Bool {
        let flags = clinux_o_path | clinux_o_directory | clinux_o_nofollow
        guard let descriptor = Descriptor(name, in: directory, flags: flags) else { return false }
        return clinux_chmod_path_descriptor(descriptor.raw, 0o700) == 0
    }

    /// Unlinks a name. `isOurs` says that the directory is part of the removal, so that its protection may be removed.
    private func delete(
        _ name: UnsafePointer<CChar>, in directory: CInt, flags: CInt, isOurs: Bool, shown: @autoclosure () -> String
    ) throws {
        if unlinkat(directory, name, flags) == 0 || errno == ENOENT { return }
        var failure = errno
        if failure == EPERM || failure == EACCES {
            if isOurs {
                _ = clinux_clear_protection(directory)
                if failure == EACCES { _ = fchmod(directory, 0o700) }
            }
            clearProtection(of: name, in: directory)
            if unlinkat(directory, name, flags) == 0 || errno == ENOENT { return }
            failure = errno
        }
        throw LXCError.systemCall("unlinkat", errno: failure, "remove \"\(shown())\"")
    }

    /// Only files and directories can carry the immutable and append-only flags, and be read-only subvolumes; a device is
    /// never opened.
    private func clearProtection(of name: UnsafePointer<CChar>, in directory: CInt) {
        guard let status = FileStatus(of: name, in: directory), status.type == S_IFREG || status.type == S_IFDIR,
            let opened = Descriptor(name, in: directory, flags: O_RDONLY | O_NONBLOCK | clinux_o_nofollow)
        else { return }
        _ = clinux_clear_protection(opened.raw)
        if status.type == S_IFDIR, clinux_is_subvolume(opened.raw) == 1 {
            _ = clinux_make_subvolume_writable(opened.raw)
        }
    }

    private func shown(_ name: UnsafePointer<CChar>) -> String { String(cString: name).escapedForDisplay }

    private func mounted(_ path: String) -> LXCError {
        LXCError(.inUse, "\"\(path)\" is a mount point; unmount it before the directory is removed")
    }
}

/// The entries a removal could not remove.
struct RemovalFailures {
    /// More of them end a removal: then the names are not the problem.
    private static let maximum = 1_000
    private static let examples = 4

    private var count = 0
    private var first: LXCError?
    private var others: [String] = []

    /// Records a failure.
    ///
    /// - Throws: failures that are not about one name, and all failures once there are too many.
    mutating func add(_ failure: any Error) throws {
        guard let failure = failure as? LXCError else { throw failure }
        count += 1
        if first == nil {
            first = failure
        } else if others.count < Self.examples {
            others.append(failure.message)
        }
        if count >= Self.maximum, let error { throw error }
    }

    /// The first failure, naming some of the others, or `nil`.
    var error: LXCError? {
        guard let first, count > 1 else { return first }
        let more = count - 1 - others.count
        let rest = others.joined(separator: "; ") + (more > 0 ? "; and \(more) more" : "")
        return LXCError(first.code, "\(first.message); \(rest)", cause: first.cause)
    }
}
