// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore

/// The way a path below an open directory is resolved so that it cannot leave the directory: no symbolic link is
/// followed.
package enum PathResolution: CaseIterable, Sendable {
    /// openat2(2), by the kernel in one step; the walk where the kernel lacks it.
    case automatic
    /// One component after the other with O_NOFOLLOW.
    case walk

    /// Leaves room for the NUL: the kernel accepts paths of up to PATH_MAX bytes, so longer ones are opened piecewise.
    private static let stretch = 4_000

    /// Opens `path`, which is not empty, below `root`; nil with `errno` set.
    package func open(_ path: ArraySlice<UInt8>, below root: CInt, flags: CInt) -> Descriptor? {
        var rest = path
        var current: Descriptor?
        while true {
            let head = self == .walk ? rest.prefix { $0 != UInt8(ascii: "/") } : Self.head(of: rest)
            let isLast = head.endIndex == rest.endIndex
            let flags = isLast ? flags : clinux_o_path | clinux_o_directory
            let directory = current?.raw ?? root
            guard let next = open(stretch: head, in: directory, flags: flags) else { return nil }
            if isLast { return next }
            current = consume next
            rest = rest[(head.endIndex + 1)...]
        }
    }

    private func open(stretch: ArraySlice<UInt8>, in directory: CInt, flags: CInt) -> Descriptor? {
        withCString(stretch) { path in
            let flags = flags | clinux_o_nofollow | clinux_o_cloexec
            guard self == .automatic else { return Descriptor(path, in: directory, flags: flags) }
            while true {
                let raw = clinux_open_beneath(directory, path, flags)
                if raw >= 0 { return Descriptor(adopting: raw) }
                // EAGAIN: something was renamed while the kernel resolved; the answer would not have been certain.
                if errno == EINTR || errno == EAGAIN { continue }
                guard errno == ENOSYS else { return nil }
                return PathResolution.walk.open(stretch, below: directory, flags: flags)
            }
        }
    }

    /// As many whole components as fit a stretch.
    private static func head(of path: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard path.count > stretch else { return path }
        let slash = path.prefix(stretch).lastIndex(of: UInt8(ascii: "/"))
        return path[..<(slash ?? path.endIndex)]
    }
}
