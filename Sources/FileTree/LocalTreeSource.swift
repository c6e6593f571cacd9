import CLinux
import Glibc
import LXCCore

/// One reading of a local directory.
final class LocalTreeSource: TreeSource {
    private static let bufferSize = 256 << 10

    private let stack: DirectoryStack
    private let attributes = ExtendedAttributes()
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferSize, alignment: 4096)
    private var paths: [TreePath] = [.root]
    private var firstNames: [FileStatus.Identity: TreePath] = [:]
    private var file: OpenFile?
    private var rootIsPending = true
    private var bytesRead: UInt64 = 0
    private(set) var losses = TreeLosses()

    /// Opens the directory `path`; a symbolic link there is followed, because the caller named it.
    init(path: String) throws {
        guard let root = Descriptor(path, flags: O_RDONLY | clinux_o_directory), let status = FileStatus(of: root.raw)
        else { throw LXCError.lastSystemCall("openat", "open the directory \"\(path.escapedForDisplay)\"") }
        stack = try DirectoryStack(root: root, status: status)
    }

    deinit { buffer.deallocate() }

    var position: (read: UInt64, total: UInt64?) { (bytesRead, nil) }

    func next() throws -> TreeEntry? {
        file = nil
        if rootIsPending {
            rootIsPending = false
            return try entry(.root, .directory, stack.root, .descriptor(stack.top))
        }
        while stack.depth > 0 {
            guard let found = try stack.withNextName({ try visit($0, $1) }) else {
                _ = try stack.pop()
                paths.removeLast()
                continue
            }
            if let directory = found.directory {
                try stack.push(
                    Descriptor(adopting: directory.descriptor), name: Array(found.path.name), status: directory.status)
                paths.append(found.path)
            }
            if let entry = found.entry { return entry }
        }
        return nil
    }

    func readPiece(_ body: (UInt64, UnsafeRawBufferPointer) throws -> Void) throws -> Bool {
        try file?.readPiece(into: buffer, body) ?? false
    }

    /// What a visited name turned out to be: an entry, and for a directory what is pushed next. A name that yields no
    /// entry is counted as a loss.
    private struct Visited {
        let path: TreePath
        var entry: TreeEntry?
        var directory: (descriptor: CInt, status: FileStatus)?
    }

    private func visit(_ name: UnsafePointer<CChar>, _ bytes: ArraySlice<UInt8>) throws -> Visited {
        let path = paths[paths.count - 1].appending(bytes)
        var visited = Visited(path: path)
        guard let status = FileStatus(of: name, in: stack.top) else {
            try lose(path, ifVanished: "statx")
            return visited
        }
        guard status.isOnSameMount(as: stack.root) else {
            throw LXCError(.unsafe, "\"\(path)\" is a mount point; unmount it, because a copy does not cross mounts")
        }
        if let first = status.type != S_IFDIR && status.links > 1 ? firstNames[status.identity] : nil {
            visited.entry = try entry(path, .hardLink(to: first), status, .name(name, in: stack.top))
            return visited
        }
        defer {
            if status.type != S_IFDIR, status.links > 1, visited.entry != nil { firstNames[status.identity] = path }
        }
        switch status.type {
        case S_IFDIR: try visitDirectory(name, &visited)
        case S_IFREG: try visitFile(name, &visited)
        case S_IFSOCK: losses.add("socket", path)
        default: visited.entry = try special(name, path, status)
        }
        return visited
    }

    private func visitDirectory(_ name: UnsafePointer<CChar>, _ visited: inout Visited) throws {
        let flags = O_RDONLY | clinux_o_directory | clinux_o_nofollow
        guard let directory = Descriptor(name, in: stack.top, flags: flags),
            let status = FileStatus(of: directory.raw)
        else { return try lose(visited.path, ifVanished: "openat") }
        guard status.isOnSameMount(as: stack.root) else {
            throw LXCError(.unsafe, "\"\(visited.path)\" became a mount point while it was read; unmount it")
        }
        visited.entry = try entry(visited.path, .directory, status, .descriptor(directory.raw))
        visited.directory = (directory.release(), status)
    }

    private func visitFile(_ name: UnsafePointer<CChar>, _ visited: inout Visited) throws {
        // O_NONBLOCK: a FIFO put in the file's place meanwhile must not make the open wait.
        guard let descriptor = Descriptor(name, in: stack.top, flags: O_RDONLY | O_NONBLOCK | clinux_o_nofollow),
            let status = FileStatus(of: descriptor.raw)
        else { return try lose(visited.path, ifVanished: "openat") }
        guard status.type == S_IFREG else {
            throw LXCError(.io, "the file \"\(visited.path)\" became something else while it was read; try again")
        }
        visited.entry = try entry(visited.path, .file(size: status.size), status, .descriptor(descriptor.raw))
        bytesRead += status.size
        file = OpenFile(descriptor, path: visited.path, size: status.size, mayHaveHoles: status.mayHaveHoles)
    }

    private func special(_ name: UnsafePointer<CChar>, _ path: TreePath, _ status: FileStatus) throws -> TreeEntry? {
        let numbers = status.deviceNumbers
        let kind: TreeEntry.Kind
        switch status.type {
        case S_IFLNK:
            guard let target = Self.readLink(name, in: stack.top) else {
                try lose(path, ifVanished: "readlinkat")
                return nil
            }
            kind = .symbolicLink(target: target)
        case S_IFCHR: kind = .characterDevice(major: numbers.major, minor: numbers.minor)
        case S_IFBLK: kind = .blockDevice(major: numbers.major, minor: numbers.minor)
        case S_IFIFO: kind = .fifo
        default:
            losses.add("unknown", path)
            return nil
        }
        return try entry(path, kind, status, .name(name, in: stack.top))
    }

    private func entry(
        _ path: TreePath, _ kind: TreeEntry.Kind, _ status: FileStatus, _ subject: ExtendedAttributes.Subject
    ) throws -> TreeEntry? {
        guard let attributes = attributes.read(subject) else {
            try lose(path, ifVanished: "listxattr")
            return nil
        }
        return TreeEntry(
            path: path, kind: kind, mode: status.mode, user: status.user, group: status.group,
            modified: status.modified, attributes: attributes)
    }

    /// Counts an entry that went away between being listed and being read; any other failure is an error.
    private func lose(_ path: TreePath, ifVanished call: String) throws {
        guard errno == ENOENT else { throw LXCError.lastSystemCall(call, "read \"\(path)\"") }
        losses.add("vanished", path)
    }

    private static func readLink(_ name: UnsafePointer<CChar>, in directory: CInt) -> [UInt8]? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
            let length = readlinkat(directory, name, buffer.baseAddress.unsafelyUnwrapped, buffer.count)
            return length < 0 ? nil : buffer[..<length].map { UInt8(bitPattern: $0) }
        }
    }
}

extension LocalTreeSource: DescriptorSource {
    var currentFile: CInt? { file?.descriptor.raw }

    func nextExtent() throws -> Range<UInt64>? { try file?.nextExtent() }

    func rewindFile() { file?.rewind() }
}
