// SPDX-License-Identifier: Apache-2.0

import CNFSPaths
import FileTree
import Foundation
import Glibc
import LXCHypervisor
import TarArchive

/// Unpacks through libnfs's calls by path, one at a time, as a program does that knows no better.
final class PathUnpacking {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private let context: OpaquePointer
    private let root: String

    /// Mounts the export of a URL; the tree goes to a directory of its own in it.
    init(URL url: String) throws {
        guard let context = nfs_init_context(), let parsed = nfs_parse_url_dir(context, url) else {
            throw Failure(description: "cannot read the URL \(url)")
        }
        self.context = context
        defer { nfs_destroy_url(parsed) }
        let path = String(cString: parsed.pointee.path)
        let slash = path.lastIndex(of: "/") ?? path.startIndex
        root = String(path[slash...])
        guard nfs_mount(context, parsed.pointee.server, String(path[..<slash])) == 0 else { throw failure("mount") }
    }

    deinit { nfs_destroy_context(context) }

    func run(_ archive: TarArchive) throws {
        let source = try archive.openForReading(TreeOpening())
        var directories: [TreeEntry] = []
        try check(nfs_mkdir2(context, root, 0o700), "mkdir")
        while let entry = try source.next() {
            if entry.kind == .directory { directories.append(entry) }
            try make(entry, source)
        }
        for entry in directories.reversed() { try dress(entry) }
    }

    private func make(_ entry: TreeEntry, _ source: any TreeSource) throws {
        let path = self.path(entry.path)
        switch entry.kind {
        case .directory where entry.path.isRoot: return
        case .directory: return try check(nfs_mkdir2(context, path, 0o700), "mkdir")
        case .hardLink(let target): return try check(nfs_link(context, self.path(target), path), "link")
        case .symbolicLink(let target):
            try check(nfs_symlink(context, String(decoding: target, as: UTF8.self), path), "symlink")
            return try check(nfs_lchown(context, path, CInt(entry.user), CInt(entry.group)), "lchown")
        case .file: try write(path, source)
        case .fifo: try check(nfs_mknod(context, path, CInt(S_IFIFO) | 0o600, 0), "mknod")
        case .characterDevice, .blockDevice: return
        }
        try dress(entry)
    }

    private func write(_ path: String, _ source: any TreeSource) throws {
        var file: OpaquePointer?
        try check(nfs_creat(context, path, 0o600, &file), "creat")
        defer { nfs_close(context, file) }
        while let piece = try source.nextPiece() {
            var rest = piece
            while !rest.bytes.isEmpty {
                let count = rest.bytes.withUnsafeBytes {
                    nfs_pwrite(context, file, rest.offset, UInt64($0.count), $0.baseAddress)
                }
                try check(count, "pwrite")
                rest = TreePiece(offset: rest.offset + UInt64(count), bytes: rest.bytes.dropFirst(Int(count)))
            }
        }
    }

    private func dress(_ entry: TreeEntry) throws {
        let path = self.path(entry.path)
        try check(nfs_chown(context, path, CInt(entry.user), CInt(entry.group)), "chown")
        try check(nfs_chmod(context, path, CInt(entry.mode)), "chmod")
        let time = timeval(tv_sec: Int(entry.modified.seconds), tv_usec: Int(entry.modified.nanoseconds / 1_000))
        var times = [time, time]
        try check(nfs_utimes(context, path, &times), "utimes")
    }

    private func path(_ path: TreePath) -> String {
        path.isRoot ? root : root + "/" + String(decoding: path.bytes, as: UTF8.self)
    }

    private func check(_ result: CInt, _ call: String) throws {
        if result < 0 { throw failure(call) }
    }

    private func failure(_ call: String) -> Failure {
        Failure(description: "nfs_\(call): \(nfs_get_error(context).map { String(cString: $0) } ?? "")")
    }
}
