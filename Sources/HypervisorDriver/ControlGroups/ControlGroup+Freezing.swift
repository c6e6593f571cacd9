// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem

/// Freezing and thawing of groups. With version 1 even SIGKILL reaches a process only after it is thawed.
extension ControlGroup {
    /// Whether the processes of the group stand still, or are about to: by a group above it, too.
    var isFrozen: Bool {
        guard let (path, isUnified) = directory(of: "freezer") else { return false }
        if isUnified { return Self.table("\(path)/cgroup.events")["frozen"] == 1 }
        return Self.read("\(path)/freezer.state").map { !$0.hasPrefix(Self.thawed) } ?? false
    }

    static let thawed = "THAWED"

    /// Writes a file of a group; false, with `errno`, when the kernel does not take it.
    @discardableResult
    static func write(_ text: String, to path: String) -> Bool {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        let bytes = Array(text.utf8)
        let isWritten = Glibc.write(descriptor, bytes, bytes.count) == bytes.count
        let error = errno
        close(descriptor)
        errno = error
        return isWritten
    }

    /// The group's directory and those below it, the outer ones first. A guest may nest groups without limit; the
    /// number looked at is bounded.
    static func directories(below path: String, atMost limit: Int = 4096) -> [String] {
        var found = DurableFile.isDirectory(path) ? [path] : []
        var next = 0
        while next < found.count, found.count < limit {
            let directory = found[next]
            next += 1
            let children = ((try? DurableFile.list(directory)) ?? []).map { "\(directory)/\($0)" }
            found += children.filter(DurableFile.isDirectory)
        }
        return found
    }
}

/// Freezes a group of version 1. It is thawed when this ends, and when this program does.
final class FreezerHold: Sendable {
    private static let patience = Duration.seconds(2)

    private let file: String
    private let client: Descriptor
    private let holder: pid_t

    /// Holds it.
    ///
    /// - Parameter directory: the group's directory in the hierarchy of the freezer.
    /// - Throws: `LXCError` `io`.
    init(_ directory: String) throws {
        file = "\(directory)/freezer.state"
        var ends: [CInt] = [-1, -1]
        guard clinux_message_pair(&ends) == 0 else { throw LXCError.lastSystemCall("socketpair", "hold \(directory)") }
        client = Descriptor(adopting: ends[0])
        let other = Descriptor(adopting: ends[1])
        guard let state = Descriptor(file, flags: O_WRONLY) else {
            throw LXCError.lastSystemCall("open", "open \(file)")
        }
        // A program of its own, which lets go when the other end of its socket is closed, by whatever.
        var list = SystemCallList()
        let (socket, freezer, byte): (UInt64, UInt64, UInt64) = (3, 4, list.place([0]))
        for text in ["FROZEN", ControlGroup.thawed] {
            let bytes = Array(text.utf8)
            list.call(
                clinux_calls.write, [freezer, list.place(bytes), UInt64(bytes.count)], to: "write \(text)",
                tolerating: [ENODEV])
            guard text == "FROZEN" else { continue }
            list.call(clinux_calls.read, [socket, byte, 1], to: "wait", tolerating: [ECONNRESET])
        }
        list.call(clinux_calls.exit_group, [0], to: "end")
        let program = try EnterProgram.make(list)
        let null = Descriptor("/dev/null", flags: O_RDWR)
        guard let null else { throw LXCError.lastSystemCall("open", "open /dev/null") }
        holder = try EnterStarter.spawn([null.raw, null.raw, null.raw, other.raw, state.raw, program.raw])
        awaitStillness()
    }

    /// Thaws the group, and returns when it is thawed.
    func end() {
        shutdown(client.raw, CInt(SHUT_RDWR))
        _ = clinux_await_child(holder, 0)
    }

    /// A process that cannot be interrupted is not waited for without an end.
    private func awaitStillness() {
        let deadline = ContinuousClock.now + Self.patience
        while ContinuousClock.now < deadline {
            if ControlGroup.read(file)?.hasPrefix("FROZEN") ?? true { return }
            usleep(1000)
        }
    }
}

/// Lets all of a container's processes go on, so that SIGKILL reaches them.
struct Thawing {
    /// Thaws the container's frozen groups, wherever they are: the outer ones first, because a group below a frozen one
    /// is frozen, too.
    ///
    /// - Parameters:
    ///   - controller: the container's controller process.
    ///   - first: its process 1.
    static func thaw(_ controller: Int32, _ first: GuestInit) {
        guard let mounts = try? ControlGroupMounts.current(), !mounts.hasOnlyVersion2,
            let own = mounts.group(of: controller)?.controllers["freezer"]
        else { return }
        for directory in ControlGroup.directories(below: own) { thaw(directory) }
        guard let top = mounts.directory(of: "/", below: "freezer") else { return }
        // A container that may write to the host's groups can have made others.
        var known: Set<String> = []
        for process in processes(inside: first) {
            guard let group = mounts.group(of: process)?.controllers["freezer"], known.insert(group).inserted,
                !group.hasPrefix(own), group.hasPrefix(top)
            else { continue }
            var path = top.hasSuffix("/") ? String(top.dropLast()) : top
            for name in group.dropFirst(path.count).split(separator: "/") {
                path += "/\(name)"
                thaw(path)
            }
        }
    }

    private static func thaw(_ directory: String) {
        let file = "\(directory)/freezer.state"
        guard let state = ControlGroup.read(file), !state.hasPrefix(ControlGroup.thawed) else { return }
        ControlGroup.write(ControlGroup.thawed, to: file)
    }

    /// The processes with the process numbers of a container, or with others made inside of it.
    private static func processes(inside first: GuestInit) -> [Int32] {
        var own = stat()
        guard fstatat(first.directory.raw, "ns/pid", &own, 0) == 0 else { return [] }
        return ((try? DurableFile.list("/proc")) ?? []).compactMap { Int32($0) }.filter { process in
            let number = clinux_open(AT_FDCWD, "/proc/\(process)/ns/pid", O_RDONLY | clinux_o_cloexec, 0)
            guard number >= 0 else { return false }
            defer { close(number) }
            return clinux_is_within_namespace(number, UInt64(own.st_ino)) == 1
        }
    }
}
