// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// A file system in a file, made anew for every counted creation: where many files were deleted in the last minutes,
/// ext4 creates files several times slower, for every program.
struct LoopFileSystem {
    enum Kind: String, CaseIterable {
        case ext4
        case xfs
        case btrfs
    }

    /// Its mount point.
    let path: String
    let kind: Kind
    private let image: String
    private let log: String
    /// The block device of the file, shared by all its file systems, so that writing and mounting use the same pages.
    private let device: String

    /// Writes the file from its first to its last block: the first write to a block of a virtual disk is several times
    /// slower than the second.
    init(_ kind: Kind, megabytes: Int, in directory: String) throws {
        self.kind = kind
        path = "\(directory)/mnt"
        image = "\(directory)/image"
        log = "\(directory)/log"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try? FileManager.default.removeItem(atPath: image)
        try Program("dd", "if=/dev/zero", "of=\(image)", "bs=1M", "count=\(megabytes)", "conv=fsync").run(log: log)
        device = try Program("losetup", "--find", "--show", image).run(log: log).output
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Makes the file system and mounts it. Nothing is discarded: that would give the image's blocks back.
    func make() throws {
        let options: [String] =
            switch kind {
            case .ext4: ["-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"]
            case .xfs: ["-q", "-f", "-K"]
            case .btrfs: ["-q", "-f", "-K"]
            }
        try Program(["mkfs.\(kind.rawValue)"] + options + [device]).run(log: log)
        let mounted = kind == .btrfs ? "nodiscard" : "defaults"
        try Program("mount", "-t", kind.rawValue, "-o", mounted, device, path).run(log: log)
    }

    /// Waits until everything is written; returns the seconds.
    func sync() throws -> Double { try Program("sync", "-f", path).run(log: log).seconds }

    /// Unmounts it if it is mounted. What uses it for a moment more is waited for.
    ///
    /// - Throws: `Program.Failure` if it stays in use: the next measurement would include it.
    func unmount() throws {
        for _ in 0..<100 {
            if umount2(path, 0) == 0 || errno == EINVAL { return }
            guard errno == EBUSY else { break }
            usleep(100_000)
        }
        throw Program.Failure(description: "cannot unmount \(path): \(String(cString: strerror(errno)))")
    }

    /// Unmounts it and removes its device and its file.
    func remove() {
        try? unmount()
        _ = try? Program("losetup", "--detach", device).run(log: log)
        unlink(image)
    }
}
