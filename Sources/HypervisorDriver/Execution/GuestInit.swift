import CLinux
import FileTree
import Glibc
import LXCCore

/// What the host's kernel says of a container's process 1, read so that a process number used again misleads nobody.
///
/// libvirt itself can go on believing in the process 1 of an earlier run, so it is not asked.
final class GuestInit: Sendable {
    /// Its directory in /proc, open: reading below it, and signals to it, fail once the process is gone.
    let directory: Descriptor
    /// Its number on the host.
    let number: Int32
    private let shown: String

    /// Finds it among the children of the container's controller process: the one with process numbers of its own.
    ///
    /// - Throws: `LXCError` `invalidState` when there is none.
    init(childOf controller: Int32, shown: String) throws {
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

    /// The capabilities it can have: what is not among them is given to nobody inside.
    func boundingSet() throws -> UInt64 {
        for line in try text("status").split(separator: "\n") where line.hasPrefix("CapBnd:") {
            if let set = UInt64(line.dropFirst("CapBnd:".count).trimmingPrefix { $0.isWhitespace }, radix: 16) {
                return set
            }
        }
        throw LXCError(.unsupported, "the kernel does not tell the capabilities of \(shown)")
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

    /// How readily the kernel ends it when memory is short.
    func memoryKillAdjustment() throws -> String {
        try String(text("oom_score_adj").prefix { $0 != "\n" })
    }

    /// The label of the host's security module; nil where there is none, or it confines nothing.
    func securityLabel() throws -> String? {
        guard let label = try? text("attr/current") else { return nil }
        let name = label.prefix { $0 != "\0" && $0 != "\n" }
        return name.isEmpty || name == "unconfined" ? nil : String(name)
    }

    /// The files that take a process into its control groups, of those the host has mounted.
    func controlGroupFiles() throws -> [String] {
        let group = try ControlGroupMounts.current().group(table: text("cgroup"))
        let directories = Set(group.controllers.values).union(group.unified.map { [$0] } ?? [])
        return directories.sorted().map { "\($0)/cgroup.procs" }
    }

    private func text(_ name: String) throws -> String {
        guard let file = Descriptor(name, in: directory.raw, flags: O_RDONLY) else { throw ended("openat") }
        guard let bytes = Descriptor.readAll(file.raw) else { throw ended("read") }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func ended(_ call: String) -> LXCError {
        LXCError(.invalidState, "\(shown) has ended", cause: SystemCallError(call, errno: errno))
    }
}
