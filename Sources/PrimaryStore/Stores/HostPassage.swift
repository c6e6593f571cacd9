// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem

/// A user of the host who must reach an object of a pool.
struct Passer: Hashable, Sendable {
    let user: UInt32
    let group: UInt32
    /// The user's name in messages.
    let shown: String

    /// The users other than root that open a volume's root, or a disk.
    static func of(_ record: ObjectRecord) -> [Passer] {
        switch record.kind {
        case .template, .image: []
        case .volume:
            if let map = record.idMap, let user = map.hostUser(0), let group = map.hostGroup(0), user != 0 {
                [Passer(user: user, group: group, shown: "the container's root, user \(user) of this host,")]
            } else {
                []
            }
        case .disk: machineAccounts
        }
    }

    /// The accounts under which distributions run QEMU; without one of them it runs as root.
    private static var machineAccounts: [Passer] {
        ["libvirt-qemu", "qemu"].compactMap { name in
            var entry = passwd()
            var found: UnsafeMutablePointer<passwd>?
            return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16_384) { buffer in
                guard let base = buffer.baseAddress,
                    getpwnam_r(name, &entry, base, buffer.count, &found) == 0, found != nil
                else { return nil }
                return Passer(user: entry.pw_uid, group: entry.pw_gid, shown: "QEMU's user \(name)")
            }
        }
    }
}

/// Whether a user of the host can pass through the directories above a path.
enum HostPassage {
    /// The time limit for a mount to answer.
    private static let patience = Duration.seconds(10)

    /// Asks the kernel, as that user: mode bits, access lists and whatever else it looks at count.
    ///
    /// - Parameters:
    ///   - passer: the user.
    ///   - path: an absolute path; the object itself is not looked at.
    ///   - view: the root directory the path is seen from, where that is another process's.
    /// - Throws: `LXCError` `permissionDenied` naming the directory and the remedy, `unavailable`, `io`.
    static func require(for passer: Passer, to path: String, seenFrom view: String = "") async throws {
        let directories = path.indices.filter { path[$0] == "/" }.map { String(path[..<$0]) }.filter { !$0.isEmpty }
        // On a thread of its own, whose credentials change and which ends afterwards.
        try await TimeLimited.run(patience, path.escapedForDisplay) {
            let opened = try directories.map { directory in
                let descriptor = open(view + directory, clinux_o_path | clinux_o_directory | clinux_o_cloexec)
                guard descriptor >= 0 else {
                    throw LXCError.lastSystemCall("open", "look at \(directory.escapedForDisplay)")
                }
                return descriptor
            }
            defer { for descriptor in opened { close(descriptor) } }
            guard geteuid() == 0, clinux_look_as(passer.user, passer.group) == 0 else { return }
            for (directory, descriptor) in zip(directories, opened) {
                let passed = openat(descriptor, ".", clinux_o_path | clinux_o_directory | clinux_o_cloexec)
                guard passed >= 0 else { throw denied(passer, directory) }
                close(passed)
            }
        }
    }

    private static func denied(_ passer: Passer, _ directory: String) -> LXCError {
        let shown = directory.escapedForDisplay
        return LXCError(
            .permissionDenied,
            "\(passer.shown) cannot reach its files through \(shown); let this user alone pass: setfacl -m "
                + "u:\(passer.user):x \(shown) (or all: chmod o+x)")
    }
}

extension Pool {
    /// The users other than root that open an object.
    func passers(to record: ObjectRecord) async throws -> [Passer] {
        try await threads.run { _ in Passer.of(record) }
    }

    /// Makes sure that those who must reach an object can pass through the pool, and through the directories above it
    /// on this host.
    ///
    /// - Throws: `LXCError` `permissionDenied` naming the directory and the remedy.
    func requirePassage(
        to volume: VolumeID, _ record: ObjectRecord?, at path: String, seenFrom view: String = ""
    ) async throws {
        guard let record else { return }
        for passer in try await passers(to: record) {
            try await letPassAgain(passer.user, to: volume)
            try await HostPassage.require(for: passer, to: path, seenFrom: view)
        }
    }
}
