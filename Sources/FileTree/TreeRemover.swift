import CLinux
import Glibc
import LXCCore

/// Removes a name and everything below it, from descriptor to name: never through a symbolic link, never into another
/// mount. What goes away by itself meanwhile is no error.
struct TreeRemover {
    /// How often a removal goes back to a directory because names were added while it was emptied.
    private static let returns = 1_000

    let cancellation: Cancellation?

    /// Looks through the tree for mount points, so that a refusal comes before anything is removed.
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
                return try descend(name, bytes, in: stack.top, mayChange: false)
            }
            if case .down(let descriptor, let status, let name)? = step {
                try stack.push(Descriptor(adopting: descriptor), name: name, status: status)
            } else if step == nil {
                _ = try stack.pop()
            }
        }
    }

    /// Removes the tree, or the file.
    func remove(_ name: UnsafePointer<CChar>, in parent: CInt) throws {
        guard let stack = try start(name, in: parent, mayChange: true) else {
            return try delete(name, in: parent, flags: 0, isOurs: false)
        }
        // A btrfs subvolume goes at once; one that holds others goes name by name.
        if clinux_is_subvolume(stack.top) == 1, clinux_destroy_subvolume(parent, name) == 0 { return }
        var returnsLeft = Self.returns
        while true {
            try cancellation?.check()
            let step = try stack.withNextName { next in
                let (name, bytes) = (next.pointer, next.bytes)
                guard let status = try status(of: name, bytes, in: stack) else { return Step.done }
                if status.type == S_IFDIR { return try descend(name, bytes, in: stack.top, mayChange: true) }
                try delete(name, in: stack.top, flags: 0, isOurs: true)
                return .done
            }
            if case .down(let descriptor, let status, let name)? = step {
                try stack.push(Descriptor(adopting: descriptor), name: name, status: status)
            } else if step == nil {
                if try returnsLeft > 0 && stack.readNamesAgain() {
                    returnsLeft -= 1
                    continue
                }
                let child = try stack.pop()
                guard stack.depth > 0 else { return try delete(name, in: parent, flags: AT_REMOVEDIR, isOurs: false) }
                try withCString(child) { try delete($0, in: stack.top, flags: AT_REMOVEDIR, isOurs: true) }
            }
        }
    }

    private enum Step {
        case done
        case down(CInt, FileStatus, name: [UInt8])
    }

    /// Opens the tree's top; nil when it is no directory or not there.
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
                try descend(name, [], in: parent, mayChange: mayChange)
        else { return nil }
        return try DirectoryStack(root: Descriptor(adopting: descriptor), status: opened)
    }

    /// The status of a name of the deepest directory; nil when it is gone.
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
        _ name: UnsafePointer<CChar>, _ bytes: ArraySlice<UInt8>, in directory: CInt, mayChange: Bool
    ) throws -> Step {
        let flags = O_RDONLY | clinux_o_directory | clinux_o_nofollow
        var opened = Descriptor(name, in: directory, flags: flags)
        if opened == nil, errno == EACCES {
            // The owner may shut himself out; before anything is removed nothing is changed either, and the second
            // pass looks for mounts again.
            guard mayChange, makeAccessible(name, in: directory) else {
                if !mayChange { return .done }
                throw LXCError.systemCall("openat", errno: EACCES, "open the directory \"\(shown(name))\"")
            }
            opened = Descriptor(name, in: directory, flags: flags)
        }
        guard let opened, let status = FileStatus(of: opened.raw) else {
            // Gone, or no directory any more: what is there now is met again when the directory above is emptied.
            if errno == ENOENT || errno == ENOTDIR || errno == ELOOP { return .done }
            throw LXCError.lastSystemCall("openat", "open the directory \"\(shown(name))\"")
        }
        return .down(opened.release(), status, name: Array(bytes))
    }

    private func makeAccessible(_ name: UnsafePointer<CChar>, in directory: CInt) -> Bool {
        let flags = clinux_o_path | clinux_o_directory | clinux_o_nofollow
        guard let descriptor = Descriptor(name, in: directory, flags: flags) else { return false }
        return clinux_chmod_path_descriptor(descriptor.raw, 0o700) == 0
    }

    /// Unlinks a name. `isOurs` says that the directory is part of what is removed, so that its protection may be
    /// taken away.
    private func delete(_ name: UnsafePointer<CChar>, in directory: CInt, flags: CInt, isOurs: Bool) throws {
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
        throw LXCError.systemCall("unlinkat", errno: failure, "remove \"\(shown(name))\"")
    }

    /// Only files and directories can carry the immutable and append-only flags; a device is never opened.
    private func clearProtection(of name: UnsafePointer<CChar>, in directory: CInt) {
        guard let status = FileStatus(of: name, in: directory), status.type == S_IFREG || status.type == S_IFDIR,
            let opened = Descriptor(name, in: directory, flags: O_RDONLY | O_NONBLOCK | clinux_o_nofollow)
        else { return }
        _ = clinux_clear_protection(opened.raw)
    }

    private func shown(_ name: UnsafePointer<CChar>) -> String { String(cString: name).escapedForDisplay }

    private func mounted(_ path: String) -> LXCError {
        LXCError(.inUse, "\"\(path)\" is a mount point; unmount it before the directory is removed")
    }
}
