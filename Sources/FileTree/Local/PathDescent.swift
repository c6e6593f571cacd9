// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LinuxSystem

/// Opens the paths of a tree one after the other, each from the nearest directory that is still open: so the look-ups
/// of a walk grow linearly with the depth of the tree, not with its square.
///
/// Used by one thread. Only some of the directories on the way to the last path are kept open.
final class PathDescent {
    /// The maximum number of open directories.
    private static let maximum = 24
    /// Whether this process may open too few files for directories to be kept open: many threads walk a tree, each with
    /// a descent in the source and one in the clone. They go down from the root every time then.
    private static let isScarce: Bool = {
        var limit = rlimit()
        return getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 && limit.rlim_cur < 1024
    }()
    /// Longer ways are halved, and the directory in the middle stays open.
    private static let stride = 8

    /// An open directory on the way.
    private final class Step {
        /// The length of its path.
        let length: Int
        let descriptor: Descriptor

        init(_ length: Int, _ descriptor: consuming Descriptor) {
            self.length = length
            self.descriptor = descriptor
        }
    }

    private let root: CInt
    private let resolution: PathResolution
    /// The path last opened.
    private var path: [UInt8] = []
    /// From the root down.
    private var steps: [Step] = []
    /// The number of path components looked up so far.
    private(set) var lookUps = 0

    /// Creates a descent from the tree's root, whose descriptor must outlive it.
    init(root: CInt, _ resolution: PathResolution) {
        self.root = root
        self.resolution = resolution
    }

    /// Closes all directories, because names may lead elsewhere now.
    func forget() { steps = [] }

    /// Opens the object at a path below the root without following symbolic links; `nil` with `errno` set.
    func open(_ target: TreePath, flags: CInt) -> Descriptor? {
        guard !target.isRoot else { return Descriptor(".", in: root, flags: flags) }
        let bytes = target.bytes
        dropSteps(notAbove: bytes)
        // `errno` is the caller's.
        defer { if Self.isScarce { steps = [] } }
        path = bytes
        var start = steps.last.map { $0.length + 1 } ?? 0
        var left = 1 + bytes[start...].count { $0 == UInt8(ascii: "/") }
        lookUps += left
        while left > 1 {
            let count = left <= Self.stride ? left - 1 : left / 2
            let end = Self.end(of: count, in: bytes, from: start)
            let flags = clinux_o_path | clinux_o_directory
            guard let opened = resolution.open(bytes[start..<end], below: deepest, flags: flags) else { return nil }
            keep(Step(end, opened))
            start = end + 1
            left -= count
        }
        return resolution.open(bytes[start...], below: deepest, flags: flags)
    }

    private var deepest: CInt { steps.last?.descriptor.raw ?? root }

    private func dropSteps(notAbove bytes: [UInt8]) {
        var common = 0
        let limit = min(bytes.count, path.count)
        while common < limit, bytes[common] == path[common] { common += 1 }
        while let last = steps.last,
            last.length > common || last.length >= bytes.count || bytes[last.length] != UInt8(ascii: "/")
        {
            steps.removeLast()
        }
    }

    /// The end of the path of `count` components from `start` on.
    private static func end(of count: Int, in bytes: [UInt8], from start: Int) -> Int {
        var index = start
        var left = count
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "/") {
                left -= 1
                if left == 0 { break }
            }
            index += 1
        }
        return index
    }

    private func keep(_ step: Step) {
        if Self.isScarce { steps = [] }
        steps.append(step)
        guard steps.count > Self.maximum else { return }
        // Every second of those far above: distant directories are rarely needed again.
        let far = Self.maximum * 2 / 3
        steps = steps.indices.filter { $0 >= far || $0.isMultiple(of: 2) }.map { steps[$0] }
    }
}
