import CLinux
import Glibc
import LXCCore

/// One writing of a local directory: built under a hidden name that only its owner can enter, renamed when complete.
final class LocalTreeSink: TreeSink {
    private let location: TreeLocation
    private let temporaryName: String
    private let root: Descriptor
    private let options: TreeCopyOptions
    private let resolution: PathResolution
    private let remover = TreeRemover(cancellation: nil)
    /// Directories get their attributes when everything is in them: names made in one change its time, and its mode
    /// may forbid making them. An entry for what is no directory any more at the end is passed over.
    private var directories: [TreePath: TreeEntry] = [.root: .impliedDirectory(.root)]
    private var parentPath: TreePath?
    private var parent: Descriptor?
    private var current: TreeEntry?
    private var file: Descriptor?
    private var written: UInt64 = 0
    private var transfer: Transfer
    private(set) var losses = TreeLosses()

    /// How contents got here.
    private struct Transfer {
        var mayShare: Bool
        var mayCopy = true
        var shared = false
        var copied = false
    }

    /// Makes the hidden directory.
    init(location: consuming TreeLocation, options: TreeCopyOptions, resolution: PathResolution) throws {
        if FileStatus(of: location.name, in: location.parent.raw) != nil { throw Self.exists(location.name) }
        // A name has room for 255 bytes.
        let kept = String(decoding: location.name.utf8.prefix(220), as: UTF8.self).prefix(220)
        let random = String(UInt64.random(in: 0...UInt64.max), radix: 36)
        let name = ".\(kept).partial-\(String(repeating: "0", count: max(0, 13 - random.count)))\(random)"
        guard mkdirat(location.parent.raw, name, 0o700) == 0 else {
            throw LXCError.lastSystemCall("mkdirat", "create a directory beside \"\(location.name.escapedForDisplay)\"")
        }
        let flags = O_RDONLY | clinux_o_directory | clinux_o_nofollow
        guard let root = Descriptor(name, in: location.parent.raw, flags: flags) else {
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
        if options.requiresSafeRoot { try SafeRoot.check(root.raw) }
        if let entry = directories[.root] { try apply(entry, to: root.raw) }
        if options.durable, clinux_syncfs(root.raw) != 0 {
            throw LXCError.lastSystemCall("syncfs", "make \"\(location.name.escapedForDisplay)\" durable")
        }
        try publish()
        if options.durable, fsync(location.parent.raw) != 0 {
            throw LXCError.lastSystemCall("fsync", "make the name \"\(location.name.escapedForDisplay)\" durable")
        }
    }

    func abandon() {
        file = nil
        parent = nil
        // Nobody could be told of a failure here: the failure that led here is what is reported.
        temporaryName.withCString { try? remover.remove($0, in: location.parent.raw) }
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
}

// MARK: - Making entries

extension LocalTreeSink {
    /// Opens the directory an entry is made in, and makes it when the source has no entry for it.
    private func enterParent(of path: TreePath) throws -> CInt {
        guard let wanted = path.parent, !wanted.isRoot else { return root.raw }
        if let raw = parent?.raw, parentPath == wanted { return raw }
        parent = nil
        parentPath = nil
        let flags = clinux_o_path | clinux_o_directory
        var opened = resolution.open(wanted.bytes[...], below: root.raw, flags: flags)
        if opened == nil, errno == ENOENT {
            let above = try enterParent(of: wanted)
            try withCString(wanted.name) { try makeDirectory(.impliedDirectory(wanted), $0, in: above) }
            opened = resolution.open(wanted.bytes[...], below: root.raw, flags: flags)
        }
        guard let opened = consume opened else {
            if errno == ELOOP || errno == ENOTDIR {
                throw LXCError(.unsafe, "\"\(path)\" would be made through something that is no directory; refused")
            }
            throw LXCError.lastSystemCall("openat2", "open the directory \"\(wanted)\"")
        }
        let raw = opened.raw
        parent = consume opened
        parentPath = wanted
        return raw
    }

    private func makeDirectory(_ entry: TreeEntry, _ name: UnsafePointer<CChar>, in directory: CInt) throws {
        directories[entry.path] = entry
        if mkdirat(directory, name, 0o700) == 0 { return }
        if errno == EEXIST, FileStatus(of: name, in: directory)?.type == S_IFDIR { return }
        try replacing(name, in: directory, "mkdirat", entry) { mkdirat(directory, name, 0o700) }
    }

    private func makeFile(_ entry: TreeEntry, _ name: UnsafePointer<CChar>, in directory: CInt) throws {
        let flags = O_RDWR | O_CREAT | O_EXCL | clinux_o_nofollow | clinux_o_cloexec
        var raw: CInt = -1
        try replacing(name, in: directory, "openat", entry) {
            raw = clinux_open(directory, name, flags, 0o600)
            return raw
        }
        file = Descriptor(adopting: raw)
    }

    private func makeLink(
        _ entry: TreeEntry, to target: TreePath, _ name: UnsafePointer<CChar>, in directory: CInt
    ) throws {
        guard target != entry.path else { throw badLink(entry, target, .unsafe, "to itself") }
        guard !target.isRoot else { throw badLink(entry, target, .unsafe, "to a directory") }
        guard let opened = resolution.open(target.bytes[...], below: root.raw, flags: clinux_o_path),
            let status = FileStatus(of: opened.raw)
        else {
            switch errno {
            case ENOENT: throw badLink(entry, target, .corrupt, "to an entry that did not come before it")
            case ELOOP, ENOTDIR: throw badLink(entry, target, .unsafe, "through something that is no directory")
            default: throw LXCError.lastSystemCall("openat2", "open the hard link target \"\(target)\"")
            }
        }
        guard status.type != S_IFDIR else { throw badLink(entry, target, .unsafe, "to a directory") }
        if FileStatus(of: name, in: directory)?.identity == status.identity { return }
        try replacing(name, in: directory, "linkat", entry) { clinux_link_descriptor(opened.raw, directory, name) }
    }

    private func badLink(_ entry: TreeEntry, _ target: TreePath, _ code: LXCError.Code, _ why: String) -> LXCError {
        LXCError(code, "\"\(entry.path)\" is a hard link \(why) (\"\(target)\"); refused")
    }

    private func makeSpecial(_ entry: TreeEntry, _ name: UnsafePointer<CChar>, in directory: CInt) throws {
        switch entry.kind {
        case .symbolicLink(let target):
            try withCString(target) { target in
                try replacing(name, in: directory, "symlinkat", entry) { symlinkat(target, directory, name) }
            }
        case .fifo:
            try replacing(name, in: directory, "mknodat", entry) {
                clinux_mknodat(directory, name, S_IFIFO | 0o600, 0, 0)
            }
        case .characterDevice(let major, let minor):
            guard try makeDevice(entry, S_IFCHR, major, minor, name, in: directory) else { return }
        case .blockDevice(let major, let minor):
            guard try makeDevice(entry, S_IFBLK, major, minor, name, in: directory) else { return }
        case .directory, .file, .hardLink: return
        }
        try applyToName(entry, name, in: directory)
    }

    private func makeDevice(
        _ entry: TreeEntry, _ type: mode_t, _ major: UInt32, _ minor: UInt32, _ name: UnsafePointer<CChar>,
        in directory: CInt
    ) throws -> Bool {
        do {
            try replacing(name, in: directory, "mknodat", entry) {
                clinux_mknodat(directory, name, type | 0o600, major, minor)
            }
            return true
        } catch let error as LXCError where (error.cause as? SystemCallError)?.errno == EPERM {
            try lose("device", entry.path)
            return false
        }
    }

    /// Makes something under a name; what is there already is removed first, with all below it.
    private func replacing(
        _ name: UnsafePointer<CChar>, in directory: CInt, _ call: String, _ entry: TreeEntry, _ make: () -> CInt
    ) throws {
        if Descriptor.retrying(make) >= 0 { return }
        if errno == EEXIST {
            // The directory kept open may be below what goes away now.
            if parentPath != entry.path.parent { parentPath = nil }
            try remover.remove(name, in: directory)
            if Descriptor.retrying(make) >= 0 { return }
        }
        throw LXCError.lastSystemCall(call, "create \"\(entry.path)\"")
    }

    private func openFile() throws -> CInt {
        guard let raw = file?.raw else { throw LXCError(.invalidState, "contents were given for what is no file") }
        return raw
    }

    private func failure(_ call: String, _ doing: String) -> LXCError {
        LXCError.lastSystemCall(call, "\(doing) \"\(current?.path.description ?? "")\"")
    }
}

// MARK: - Attributes

extension LocalTreeSink {
    /// Sets everything an open inode carries. The owner comes first, because changing it clears setuid bits and
    /// capabilities; the access ACL after the mode it refines; the time last, because all else may change it.
    private func apply(_ entry: TreeEntry, to descriptor: CInt) throws {
        guard fchown(descriptor, entry.user, entry.group) == 0 else { throw ownerFailure(entry) }
        guard fchmod(descriptor, mode_t(entry.mode)) == 0 else {
            throw LXCError.lastSystemCall("fchmod", "set the mode of \"\(entry.path)\"")
        }
        try setAttributes(entry, of: .descriptor(descriptor))
        var times = Self.times(entry)
        guard futimens(descriptor, &times) == 0 else {
            throw LXCError.lastSystemCall("futimens", "set the time of \"\(entry.path)\"")
        }
    }

    /// The same for what cannot be opened; symbolic links have no mode.
    private func applyToName(_ entry: TreeEntry, _ name: UnsafePointer<CChar>, in directory: CInt) throws {
        guard fchownat(directory, name, entry.user, entry.group, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw ownerFailure(entry)
        }
        if case .symbolicLink = entry.kind {
        } else {
            let flags = clinux_o_path | clinux_o_nofollow
            guard let opened = Descriptor(name, in: directory, flags: flags),
                clinux_chmod_path_descriptor(opened.raw, mode_t(entry.mode)) == 0
            else { throw LXCError.lastSystemCall("chmod", "set the mode of \"\(entry.path)\"") }
        }
        try setAttributes(entry, of: .name(name, in: directory))
        var times = Self.times(entry)
        guard utimensat(directory, name, &times, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw LXCError.lastSystemCall("utimensat", "set the time of \"\(entry.path)\"")
        }
    }

    private func setAttributes(_ entry: TreeEntry, of subject: ExtendedAttributes.Subject) throws {
        // Capabilities come last: they are the one attribute that gives power.
        for isCapability in [false, true] {
            for attribute in entry.attributes where attribute.isCapability == isCapability {
                let failure = ExtendedAttributes.set(attribute, of: subject)
                if failure == 0 { continue }
                guard Self.refusals.contains(failure) else {
                    throw LXCError.systemCall("setxattr", errno: failure, "set an attribute of \"\(entry.path)\"")
                }
                try lose(attribute.lossKind, entry.path)
            }
        }
    }

    /// The answers of a file system that cannot hold an attribute. ENOSPC is ext4's for a value larger than a block;
    /// when it is the disk that is full, the next file fails.
    private static let refusals: Set<CInt> = [EOPNOTSUPP, EINVAL, EPERM, EACCES, E2BIG, ERANGE, ENOSPC]

    private func lose(_ kind: String, _ path: TreePath) throws {
        losses.add(kind, path)
        if options.lossless {
            throw LXCError(
                .lossRefused, "the destination cannot hold \(kind.escapedForDisplay) of \"\(path)\"; allow losses")
        }
    }

    private func ownerFailure(_ entry: TreeEntry) -> LXCError {
        LXCError.lastSystemCall("fchown", "give \"\(entry.path)\" to \(entry.user):\(entry.group)")
    }

    /// Access time and modification time: an inode just made was just read.
    private static func times(_ entry: TreeEntry) -> [timespec] {
        let time = timespec(tv_sec: Int(entry.modified.seconds), tv_nsec: Int(entry.modified.nanoseconds))
        return [time, time]
    }
}

// MARK: - Contents by descriptor

extension LocalTreeSink: DescriptorSink {
    func share(with source: CInt) throws -> Bool {
        guard transfer.mayShare, case .file(let size)? = current?.kind, size > 0 else { return false }
        if clinux_clone_file(try openFile(), source) == 0 {
            transfer.shared = true
            written = size
            return true
        }
        guard [EOPNOTSUPP, EXDEV, EINVAL, ENOTTY, ENOSYS, EPERM].contains(errno) else {
            throw failure("ioctl FICLONE", "share the extents of")
        }
        guard options.strategy != .reflink else {
            throw LXCError(
                .unsupported, "the file system cannot share extents with the source; use the strategy auto or copy")
        }
        transfer.mayShare = false
        return false
    }

    func copy(_ extent: Range<UInt64>, from source: CInt) throws -> Bool {
        guard transfer.mayCopy else { return false }
        let descriptor = try openFile()
        var offset = extent.lowerBound
        while offset < extent.upperBound {
            let size = Int(min(extent.upperBound - offset, 16 << 20))
            let count = Descriptor.retrying {
                clinux_copy_file_range(source, off_t(offset), descriptor, off_t(offset), size)
            }
            if count < 0, offset == extent.lowerBound, [EXDEV, EOPNOTSUPP, EINVAL, ENOSYS].contains(errno) {
                transfer.mayCopy = false
                return false
            }
            guard count >= 0 else { throw failure("copy_file_range", "copy") }
            guard count > 0 else { throw LXCError(.io, "a file became shorter while it was copied; try again") }
            offset += UInt64(count)
        }
        transfer.copied = true
        written = max(written, extent.upperBound)
        return true
    }
}
