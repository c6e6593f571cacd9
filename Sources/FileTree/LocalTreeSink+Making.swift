import CLinux
import Glibc
import LXCCore

extension LocalTreeSink {
    /// Opens the directory an entry is made in, and makes it when the source has no entry for it.
    func enterParent(of path: TreePath) throws -> CInt {
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

    func makeDirectory(_ entry: TreeEntry, _ name: UnsafePointer<CChar>, in directory: CInt) throws {
        directories[entry.path] = entry
        if mkdirat(directory, name, 0o700) == 0 { return }
        if errno == EEXIST, FileStatus(of: name, in: directory)?.type == S_IFDIR { return }
        try replacing(name, in: directory, "mkdirat", entry) { mkdirat(directory, name, 0o700) }
    }

    func makeFile(_ entry: TreeEntry, _ name: UnsafePointer<CChar>, in directory: CInt) throws {
        let flags = O_RDWR | O_CREAT | O_EXCL | clinux_o_nofollow | clinux_o_cloexec
        var raw: CInt = -1
        try replacing(name, in: directory, "openat", entry) {
            raw = clinux_open(directory, name, flags, 0o600)
            return raw
        }
        file = Descriptor(adopting: raw)
    }

    func makeLink(
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

    func makeSpecial(_ entry: TreeEntry, _ name: UnsafePointer<CChar>, in directory: CInt) throws {
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
}
