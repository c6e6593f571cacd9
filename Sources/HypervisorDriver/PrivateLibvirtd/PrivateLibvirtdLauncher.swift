// SPDX-License-Identifier: Apache-2.0

import CLinux
import FoundationEssentials
import Glibc
import LXCCore
import LinuxSystem

/// Starts the processes of a private daemon. Everything here blocks.
struct PrivateLibvirtdLauncher: Sendable {
    let directory: PrivateLibvirtdDirectory
    let drivers: Set<LibvirtKind>
    let lifetime: PrivateLibvirtd.Lifetime

    /// The processes of a started daemon.
    struct Running: Sendable {
        /// The supervisor, or the daemon itself when it lingers.
        var process: pid_t
        /// The descriptor whose closing ends the supervised daemon; nil if it lingers.
        var lifeline: CInt?
    }

    /// Starts the programs in a mount namespace of their own.
    ///
    /// - Throws: `unavailable` when libvirtd is not installed, `permissionDenied` when the kernel refuses the namespace.
    func launch() throws -> Running {
        let log = open(directory.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard log >= 0 else { throw LXCError.lastSystemCall("open", "open the log of a private libvirtd") }
        defer { close(log) }
        let commands = try commands()
        guard lifetime == .owner else {
            return Running(process: try start(commands, log: log, owner: -1), lifeline: nil)
        }
        var ends: [CInt] = [-1, -1]
        guard clinux_pipe(&ends) == 0 else { throw LXCError.lastSystemCall("pipe2", "start a private libvirtd") }
        defer { close(ends[0]) }
        do {
            return Running(process: try start(commands, log: log, owner: ends[0]), lifeline: ends[1])
        } catch {
            close(ends[1])
            throw error
        }
    }

    /// The programs to run, the main one last.
    private func commands() throws(LXCError) -> [[String]] {
        var timeout: [String] = []
        if case .lingering(let idle) = lifetime { timeout = ["--timeout", "\(idle.components.seconds)"] }
        var commands: [[String]] = []
        if drivers.contains(.kvm), !Self.answers(directory.logSocket) {
            commands.append([try Self.find("virtlogd")] + files("virtlogd") + timeout)
        }
        commands.append([try Self.find("libvirtd")] + files("libvirtd") + timeout)
        return commands
    }

    private func files(_ program: String) -> [String] {
        ["-f", "\(directory.path)/\(program).conf", "-p", "\(directory.path)/run/\(program).pid"]
    }

    private static func find(_ program: String) throws(LXCError) -> String {
        for folder in ["/usr/sbin", "/usr/bin", "/usr/local/sbin"] where access("\(folder)/\(program)", X_OK) == 0 {
            return "\(folder)/\(program)"
        }
        throw LXCError(
            .unavailable,
            "\(program) is not installed; on Debian and Ubuntu install libvirt-daemon-system, and "
                + "libvirt-daemon-driver-lxc for containers or libvirt-daemon-driver-qemu for virtual machines")
    }

    /// Whether a process listens at a Unix socket.
    static func answers(_ path: String) -> Bool {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }

    private func start(_ commands: [[String]], log: CInt, owner: CInt) throws(LXCError) -> pid_t {
        let mountinfo = FileManager.default.contents(atPath: "/proc/self/mountinfo") ?? Data()
        let cgroups = PrivateLibvirtdCgroups(mountinfo: String(decoding: mountinfo, as: UTF8.self))
        let text = CText()
        let sources = PrivateLibvirtdDirectory.mounts.map { "\(directory.path)/\($0.name)" }
        var daemon = clinux_daemon()
        daemon.mount_sources = text.list(sources)
        daemon.mount_targets = text.list(PrivateLibvirtdDirectory.mounts.map(\.target))
        daemon.detached_mounts = text.list(cgroups.hidden)
        daemon.commands = text.lists(commands)
        daemon.environment = text.arguments([
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C",
        ])
        daemon.log = log
        daemon.owner = owner
        daemon.directory = text.string(directory.path)
        daemon.cgroup_mounts = text.list(cgroups.used)
        var failure = clinux_daemon_failure()
        let process = withExtendedLifetime(text) { clinux_daemon_start(&daemon, &failure) }
        guard process > 0 else {
            let step = failure.step.map { String(cString: $0) } ?? "fork"
            throw .systemCall(step, errno: failure.error, "start libvirtd in a mount namespace of its own")
        }
        return process
    }
}

/// Text for C that lives as long as this object: the forked process reads it without allocating.
private final class CText {
    private var owned: [UnsafeMutableRawPointer] = []

    deinit { for pointer in owned { free(pointer) } }

    func string(_ text: String) -> UnsafePointer<CChar>? { UnsafePointer(copy(text)) }

    func list(_ texts: [String]) -> UnsafePointer<UnsafePointer<CChar>?> {
        UnsafePointer(allocate(texts.map { string($0) } + [nil]))
    }

    func arguments(_ texts: [String]) -> UnsafePointer<UnsafeMutablePointer<CChar>?> {
        UnsafePointer(allocate(texts.map { copy($0) } + [nil]))
    }

    func lists(_ lists: [[String]]) -> UnsafePointer<UnsafePointer<UnsafeMutablePointer<CChar>?>?> {
        UnsafePointer(allocate(lists.map { arguments($0) } + [nil]))
    }

    private func copy(_ text: String) -> UnsafeMutablePointer<CChar>? {
        precondition(!text.utf8.contains(0), "a text with a NUL must not reach libvirtd's arguments")
        guard let pointer = strdup(text) else { return nil }
        owned.append(UnsafeMutableRawPointer(pointer))
        return pointer
    }

    private func allocate<Element>(_ elements: [Element]) -> UnsafeMutablePointer<Element> {
        let size = MemoryLayout<Element>.stride * elements.count
        let raw = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: MemoryLayout<Element>.alignment)
        owned.append(raw)
        let pointer = raw.bindMemory(to: Element.self, capacity: elements.count)
        pointer.initialize(from: elements, count: elements.count)
        return pointer
    }
}
