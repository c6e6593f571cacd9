import CLinux
import Glibc
import LXCCore

/// One writing of a local directory: built under a hidden name that only its owner can enter, renamed when complete.
final class LocalTreeSink: TreeSink {
    private let location: TreeLocation
    private let temporaryName: String
    let root: Descriptor
    let options: TreeCopyOptions
    let resolution: PathResolution
    let remover = TreeRemover(cancellation: nil)
    /// Directories get their attributes when everything is in them: names made in one change its time, and its mode
    /// may forbid making them. An entry for what is no directory any more at the end is passed over.
    var directories: [TreePath: TreeEntry] = [.root: .impliedDirectory(.root)]
    var parentPath: TreePath?
    var parent: Descriptor?
    var current: TreeEntry?
    var file: Descriptor?
    var written: UInt64 = 0
    var transfer: Transfer
    private var isPublished = false
    private(set) var losses = TreeLosses()

    /// How contents got here.
    struct Transfer {
        var mayShare: Bool
        var mayCopy = true
        var shared = false
        var copied = false
    }

    /// Makes the hidden directory.
    init(location: consuming TreeLocation, options: TreeCopyOptions, resolution: PathResolution) throws {
        if FileStatus(of: location.name, in: location.parent.raw) != nil { throw Self.exists(location.name) }
        // A name has room for 255 bytes.
        let kept = String(decoding: location.name.utf8.prefix(220), as: UTF8.self)
        let name = ".\(kept).partial-\(RandomName.make())"
        guard mkdirat(location.parent.raw, name, 0o700) == 0 else {
            throw LXCError.lastSystemCall("mkdirat", "create a directory beside \"\(location.name.escapedForDisplay)\"")
        }
        let flags = O_RDONLY | clinux_o_directory | clinux_o_nofollow
        guard let root = Descriptor(name, in: location.parent.raw, flags: flags) else {
            defer { unlinkat(location.parent.raw, name, AT_REMOVEDIR) }
            throw LXCError.lastSystemCall("openat", "open the new directory \"\(name.escapedForDisplay)\"")
        }
        // A default ACL of the directory around would be inherited by everything inside.
        for attribute in ["system.posix_acl_default", "system.posix_acl_access"] {
            _ = clinux_fremovexattr(root.raw, attribute)
        }
        _ = fchmod(root.raw, 0o700)
        self.location = location
        self.options = options
        self.resolution = resolution
        self.root = root
        temporaryName = name
        transfer = Transfer(mayShare: options.strategy == .auto || options.strategy == .reflink)
    }

    var strategy: String {
        if transfer.shared { return "reflink" }
        return transfer.copied ? "copy_file_range" : "write"
    }

    func begin(_ entry: TreeEntry) throws {
        current = entry
        written = 0
        file = nil
        guard !entry.path.isRoot else {
            guard entry.kind == .directory else {
                throw LXCError(.unsafe, "the root of the tree is not a directory in the source; refused")
            }
            directories[.root] = entry
            return
        }
        let directory = try enterParent(of: entry.path)
        try withCString(entry.path.name) { name in
            switch entry.kind {
            case .directory: try makeDirectory(entry, name, in: directory)
            case .file: try makeFile(entry, name, in: directory)
            case .hardLink(let target): try makeLink(entry, to: target, name, in: directory)
            default: try makeSpecial(entry, name, in: directory)
            }
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
        var rest = bytes
        var offset = offset
        let descriptor = try openFile()
        while !rest.isEmpty {
            let count = Descriptor.retrying { pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset)) }
            guard count > 0 else { throw failure("pwrite", "write") }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            offset += UInt64(count)
        }
        written = max(written, offset)
    }

    func end() throws {
        guard let entry = current else { return }
        current = nil
        if case .file(let size) = entry.kind {
            let descriptor = try openFile()
            guard written == size || ftruncate(descriptor, off_t(size)) == 0 else {
                throw LXCError.lastSystemCall("ftruncate", "set the size of \"\(entry.path)\"")
            }
            try apply(entry, to: descriptor)
            file = nil
        }
    }

    func finish() throws {
        parent = nil
        parentPath = nil
        // Bytewise descending, so every directory comes after what is in it.
        for path in directories.keys.sorted(by: >) {
            guard let entry = directories[path] else { continue }
            if path.isRoot {
                // The root stays closed to others until everything else is done.
                continue
            }
            let flags = O_RDONLY | clinux_o_directory
            guard let directory = resolution.open(path.bytes[...], below: root.raw, flags: flags) else {
                if errno == ENOENT || errno == ENOTDIR || errno == ELOOP { continue }
                throw LXCError.lastSystemCall("openat2", "open the directory \"\(path)\" again")
            }
            try apply(entry, to: directory.raw)
        }
        if options.requiresSafeRoot { try SafeRoot.check(OpenRoot(root.raw)) }
        if let entry = directories[.root] { try apply(entry, to: root.raw) }
        if options.durable, clinux_syncfs(root.raw) != 0 {
            throw LXCError.lastSystemCall("syncfs", "make \"\(location.name.escapedForDisplay)\" durable")
        }
        try publish()
        isPublished = true
        if options.durable, fsync(location.parent.raw) != 0 {
            throw LXCError.lastSystemCall("fsync", "make the name \"\(location.name.escapedForDisplay)\" durable")
        }
    }

    func abandon() {
        file = nil
        parent = nil
        // Nobody could be told of a failure here: the failure that led here is what is reported.
        (isPublished ? location.name : temporaryName).withCString { try? remover.remove($0, in: location.parent.raw) }
    }

    private func publish() throws {
        let parent = location.parent.raw
        var result = clinux_rename_noreplace(parent, temporaryName, parent, location.name)
        if result != 0, errno == EINVAL || errno == ENOSYS {
            // The file system has no such rename; the window between look and rename can only meet an empty directory.
            guard FileStatus(of: location.name, in: parent) == nil else { throw Self.exists(location.name) }
            result = renameat(parent, temporaryName, parent, location.name)
        }
        guard result == 0 else {
            if errno == EEXIST || errno == ENOTEMPTY { throw Self.exists(location.name) }
            throw LXCError.lastSystemCall("renameat2", "put \"\(location.name.escapedForDisplay)\" in its place")
        }
    }

    private static func exists(_ name: String) -> LXCError {
        LXCError(.alreadyExists, "\"\(name.escapedForDisplay)\" is there already; remove it or choose another name")
    }

    func openFile() throws -> CInt {
        guard let raw = file?.raw else { throw LXCError(.invalidState, "contents were given for what is no file") }
        return raw
    }

    func failure(_ call: String, _ doing: String) -> LXCError {
        LXCError.lastSystemCall(call, "\(doing) \"\(current?.path.description ?? "")\"")
    }

    func lose(_ kind: String, _ path: TreePath) throws {
        losses.add(kind, path)
        if options.lossless {
            throw LXCError(
                .lossRefused, "the destination cannot hold \(kind.escapedForDisplay) of \"\(path)\"; allow losses")
        }
    }
}
