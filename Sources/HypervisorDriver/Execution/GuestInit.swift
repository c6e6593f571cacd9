// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem

/// The host kernel's information on a container's process 1, read so that a reused process number is detected.
///
/// libvirt itself can go on believing in the process 1 of an earlier run, so it is not asked.
final class GuestInit: Sendable {
    /// Its directory in /proc, open: reading below it, and signals to it, fail once the process is gone.
    let directory: Descriptor
    /// Its number on the host.
    let number: Int32
    /// The number of its controller process.
    let controller: Int32
    private let shown: String

    /// Finds it among the children of the container's controller process: the one with process numbers of its own.
    ///
    /// - Throws: `LXCError` `invalidState` if there is none.
    init(childOf controller: Int32, shown: String) throws {
        self.controller = controller
        let host = try Self.inode(of: "/proc/self/ns/pid")
        for thread in try DurableFile.list("/proc/\(controller)/task") {
            let path = "/proc/\(controller)/task/\(thread)/children"
            let children = ((try? DurableFile.read(path)) ?? nil).map { String(decoding: $0, as: UTF8.self) } ?? ""
            for child in children.split(separator: " ").compactMap({ Int32($0) }) {
                let flags = O_RDONLY | clinux_o_directory
                guard let directory = Descriptor("/proc/\(child)", flags: flags) else { continue }
                var found = stat()
                // The controller also has short-lived children that are the host's.
                guard fstatat(directory.raw, "ns/pid", &found, 0) == 0, found.st_ino != host else { continue }
                self.directory = directory
                number = child
                self.shown = shown
                return
            }
        }
        throw LXCError(
            .invalidState,
            "\(shown) has no process 1 with process numbers of its own; it has ended, or is about to begin")
    }

    private static func inode(of path: String) throws -> ino_t {
        var status = stat()
        guard stat(path, &status) == 0 else { throw LXCError.lastSystemCall("stat", "look at \(path)") }
        return status.st_ino
    }

    /// Sends it a signal.
    ///
    /// - Throws: `LXCError` `invalidState` when it has ended.
    func send(_ signal: Int32) throws {
        guard clinux_signal_process(directory.raw, signal) == 0 else { throw ended("pidfd_send_signal") }
    }

    /// The root directory it sees.
    ///
    /// - Throws: `LXCError` `invalidState` when it has ended.
    func root() throws -> Descriptor {
        guard let root = Descriptor("root", in: directory.raw, flags: clinux_o_path | clinux_o_directory) else {
            throw ended("openat")
        }
        return root
    }

    /// Its confinement.
    ///
    /// - Throws: `LXCError` `invalidState` when it has ended; `unsupported` when the kernel does not tell a part of it, or
    ///   a security module is in force that is neither AppArmor nor SELinux.
    func confinement() throws -> Confinement {
        let personality = (try? text("personality")) ?? ""
        guard
            var confinement = Confinement(
                status: try text("status"), limits: try text("limits"), stat: try text("stat"),
                personality: personality)
        else { throw LXCError(.unsupported, "the kernel does not tell what \(shown) is confined by") }
        confinement.ioPriority = max(0, clinux_io_priority(number))
        confinement.securityLabel = try securityLabel()
        confinement.memoryKillAdjustment = try memoryKillAdjustment()
        let groups = try controlGroup().controllers.values
        confinement.controlGroupFiles = Set(groups).sorted().map { "\($0)/cgroup.procs" }
        return confinement
    }

    /// Refuses a frozen container, in which a command would not start.
    ///
    /// - Throws: `LXCError` `invalidState`.
    func requireRunning() throws {
        guard try controlGroup().isFrozen else { return }
        throw LXCError(.invalidState, "\(shown) is suspended, or has suspended itself; resume it")
    }

    /// The container's root, as the host counts; nil where the container has the host's own users.
    func rootIDs() throws -> (user: UInt32, group: UInt32)? {
        func first(_ map: String) throws -> UInt32? {
            for line in try text(map).split(separator: "\n") {
                let numbers = line.split(separator: " ").compactMap { UInt32($0) }
                if numbers.count == 3, numbers[0] == 0 { return numbers[1] }
            }
            return nil
        }
        guard let user = try first("uid_map"), let group = try first("gid_map"), user != 0 else { return nil }
        return (user, group)
    }

    /// Its adjustment for the kernel's out-of-memory killer.
    private func memoryKillAdjustment() throws -> String {
        try String(text("oom_score_adj").prefix { $0 != "\n" })
    }

    /// The label of the host's security module; nil if there is none, it confines nothing, or this program has the
    /// same.
    private func securityLabel() throws -> SecurityLabel? {
        let hasOwnFiles = access("/proc/self/attr/apparmor/current", F_OK) == 0
        let file = hasOwnFiles ? "attr/apparmor/current" : "attr/current"
        guard let current = try? text(file) else { return nil }
        let isConfined = !current.allSatisfy { $0 == "\0" || $0 == "\n" }
        guard isConfined, current != ControlGroup.read("/proc/self/\(file)") else { return nil }
        if hasOwnFiles || access("/sys/module/apparmor", F_OK) == 0 {
            return SecurityLabel(current: current, of: .appArmor, hasOwnFiles: hasOwnFiles)
        }
        if access("/sys/fs/selinux/enforce", F_OK) == 0 {
            return SecurityLabel(current: current, of: .seLinux, hasOwnFiles: false)
        }
        throw LXCError(
            .unsupported,
            "\(shown) is confined by a security label, \(current.escapedForDisplay), of a module that is neither AppArmor "
                + "nor SELinux; a command cannot be given it")
    }

    /// Its control groups.
    ///
    /// - Throws: `LXCError` `invalidState` when it has ended.
    func controlGroup() throws -> ControlGroup { try ControlGroupMounts.current().group(table: text("cgroup")) }

    private func text(_ name: String) throws -> String {
        guard let file = Descriptor(name, in: directory.raw, flags: O_RDONLY) else { throw ended("openat") }
        guard let bytes = Descriptor.readAll(file.raw) else { throw ended("read") }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func ended(_ call: String) -> LXCError {
        LXCError(.invalidState, "\(shown) has ended", cause: SystemCallError(call, errno: errno))
    }
}
