import CLinux
import FileTree
import Glibc
import LXCCore

/// What the container's process 1 is confined by, and the command must be too.
struct Confinement: Hashable {
    var boundingSet: UInt64
    var memoryKillAdjustment: String
    var controlGroupFiles: [String]
}

/// Writes the calls that turn a process of the host into a command inside a container.
///
/// The process stays outside of the container's process numbers: nothing inside sees it. Its only child is the command,
/// which is seen, and which then has nothing of the host: no descriptor but its streams, no memory, no keyring, no
/// capability that process 1 does not have.
struct EnterScript {
    /// The numbers of the program's descriptors, beside those of its streams.
    enum Number {
        static let report: UInt64 = 3
        static let firstNamespace: UInt64 = 4
        /// The program itself comes after the namespaces, and nothing after it.
        static func program(after namespaces: Int) -> UInt64 { firstNamespace + UInt64(namespaces) }
    }

    private(set) var list = SystemCallList()
    private let calls = clinux_calls
    private let requests = clinux_requests

    /// - Parameters:
    ///   - command: what is run.
    ///   - confinement: what holds it.
    ///   - namespaces: the CLONE_NEW… flags of the namespaces, whose descriptors begin at `Number.firstNamespace`.
    init(_ command: ResolvedCommand, _ confinement: Confinement, namespaces: [CInt]) {
        hide(Number.program(after: namespaces.count))
        join(confinement, besides: namespaces.count)
        enter(namespaces)
        if let size = command.terminal { makeTerminal(size, of: command.user) }
        list.call(calls.fcntl, [Number.report, UInt64(F_SETFD), UInt64(FD_CLOEXEC)], to: "keep the report")
        let child = list.call(calls.clone, [UInt64(clinux_clone.vfork | SIGCHLD)], to: "start a process")
        confine(command, confinement)
        execute(command)
        list.branchHere(whenPositive: child)
        watch(child)
    }

    private mutating func hide(_ program: UInt64) {
        list.call(calls.prctl, [requests.dumpable, 0], to: "hide from debuggers")
        list.call(calls.close, [program], to: "close the program's file")
    }

    /// Writes a file; the number it is opened as is the lowest that is free.
    private mutating func write(_ text: String, to path: String, as number: UInt64, doing purpose: String) {
        let bytes = Array(text.utf8)
        list.call(
            calls.openat, [UInt64(bitPattern: Int64(AT_FDCWD)), list.place(path), UInt64(O_WRONLY)], to: purpose)
        list.call(calls.write, [number, list.place(bytes), UInt64(bytes.count)], to: purpose)
        list.call(calls.close, [number], to: purpose)
    }

    private mutating func join(_ confinement: Confinement, besides namespaces: Int) {
        let number = Number.program(after: namespaces)
        for file in confinement.controlGroupFiles {
            write("0", to: file, as: number, doing: "join the control group of \(file)")
        }
        write(
            confinement.memoryKillAdjustment, to: "/proc/self/oom_score_adj", as: number,
            doing: "set its oom_score_adj")
        // The host's keys stay outside (keyctl(2), KEYCTL_JOIN_SESSION_KEYRING).
        list.call(calls.keyctl, [1, 0], to: "leave the host's session keyring", tolerating: ENOSYS)
    }

    private mutating func enter(_ namespaces: [CInt]) {
        for (index, kind) in namespaces.enumerated() {
            let descriptor = Number.firstNamespace + UInt64(index)
            list.call(calls.setns, [descriptor, UInt64(kind)], to: "enter the container's namespaces")
            list.call(calls.close, [descriptor], to: "close a namespace")
        }
        list.call(calls.setresgid, [0, 0, 0], to: "become the container's root")
        list.call(calls.setgroups, [0, 0], to: "leave the host's groups")
        list.call(calls.setresuid, [0, 0, 0], to: "become the container's root")
    }

    /// A terminal of the container's own, so that what runs inside finds it by its name. Its controlling end goes to the
    /// host, which takes no other kind of file for it.
    private mutating func makeTerminal(_ size: TerminalSize, of user: UInt32) {
        let purpose = "make a terminal inside"
        // The namespaces are closed, so the two get the first numbers that are free.
        let (master, peer) = (Number.firstNamespace, Number.firstNamespace + 1)
        // struct open_how with RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS: devpts has no links of its own.
        let how = list.place(words: [UInt64(O_RDWR | O_NOCTTY | O_NONBLOCK), 0, 0x06])
        let path = list.place("/dev/pts/ptmx")
        list.call(calls.openat2, [UInt64(bitPattern: Int64(AT_FDCWD)), path, how, 24], to: purpose)
        list.call(calls.ioctl, [master, requests.lock_terminal, list.place(words: [0])], to: purpose)
        list.call(calls.ioctl, [master, requests.open_peer, UInt64(O_RDWR | O_NOCTTY)], to: purpose)
        // struct winsize: before the command begins, which may ask for it at once.
        let characters = UInt64(size.rows) | UInt64(size.columns) << 16
        list.call(calls.ioctl, [master, requests.window_size, list.place(words: [characters])], to: purpose)
        for stream in 0...2 as ClosedRange<UInt64> { list.call(calls.dup3, [peer, stream, 0], to: purpose) }
        list.call(calls.close, [peer], to: purpose)
        // Owned as the kernel and login(1) have it. EINVAL: the container has no such group.
        let terminalGroup: UInt64 = 5
        list.call(calls.fchown, [0, UInt64(user), terminalGroup], to: purpose, tolerating: EINVAL)
        send(master, to: purpose)
        list.call(calls.close, [master], to: purpose)
    }

    /// Sends a descriptor with a message of one byte (unix(7), SCM_RIGHTS).
    private mutating func send(_ descriptor: UInt64, to purpose: String) {
        let byte = list.place([0])
        let part = list.place(words: [byte, 1])
        let rights = UInt64(UInt32(SOL_SOCKET)) | UInt64(1) << 32
        let control = list.place(words: [20, rights, descriptor])
        let message = list.place(words: [0, 0, part, 1, control, 24, 0])
        list.call(calls.sendmsg, [Number.report, message, UInt64(MSG_NOSIGNAL)], to: purpose)
    }

    private mutating func confine(_ command: ResolvedCommand, _ confinement: Confinement) {
        list.call(calls.setsid, [], to: "begin a session")
        if command.terminal != nil {
            list.call(calls.ioctl, [0, requests.control_terminal, 0], to: "control its terminal")
        }
        // EINVAL: a capability this kernel does not know.
        for capability in 0..<64 as Range<UInt64> where confinement.boundingSet >> capability & 1 == 0 {
            list.call(
                calls.prctl, [requests.drop_bounding, capability], to: "drop a capability", tolerating: EINVAL)
        }
        let clearAll: UInt64 = 4
        list.call(calls.prctl, [requests.ambient, clearAll, 0, 0, 0], to: "drop capabilities", tolerating: EINVAL)
        list.call(calls.umask, [0o022], to: "set the file mode creation mask")
        let groups = list.place(command.groups.flatMap { withUnsafeBytes(of: $0, Array.init) })
        list.call(calls.setgroups, [UInt64(command.groups.count), groups], to: "set its groups")
        let (user, group) = (UInt64(command.user), UInt64(command.group))
        list.call(calls.setresgid, [group, group, group], to: "become group \(group)")
        list.call(calls.setresuid, [user, user, user], to: "become user \(user)")
        list.call(calls.prctl, [requests.death_signal, UInt64(SIGKILL)], to: "end with its starter")
    }

    private mutating func execute(_ command: ResolvedCommand) {
        let directory = command.workingDirectory
        list.call(calls.chdir, [list.place(directory)], to: "go to the directory \(directory.escapedForDisplay)")
        let arguments = list.place(list: command.arguments)
        let environment = list.place(list: command.environment)
        for (index, path) in command.candidates.enumerated() {
            let isLast = index == command.candidates.count - 1
            let purpose = "run \((command.arguments.first ?? path).escapedForDisplay)"
            list.call(
                calls.execve, [list.place(path), arguments, environment], to: purpose,
                tolerating: isLast ? 0 : ENOENT)
        }
    }

    /// The starter tells the command's number on the host, then how it ended, and goes when the host has heard of it:
    /// until then the number stays the command's.
    private mutating func watch(_ child: SystemCallList.Call) {
        let purpose = "watch over the command"
        let number = list.place(words: [0])
        list.store(resultOf: child, at: number)
        list.call(calls.write, [Number.report, number, 8], to: purpose)
        let end = list.place([UInt8](repeating: 0, count: ExitReport.size))
        let flags = UInt64(WEXITED) | UInt64(WNOWAIT)
        list.call(calls.waitid, [UInt64(P_ALL.rawValue), 0, end, flags, 0], to: purpose)
        list.call(calls.write, [Number.report, end, UInt64(ExitReport.size)], to: purpose)
        list.call(calls.read, [Number.report, end, 1], to: purpose)
        // Left to itself it would be the host's process 1's to take note of; an init inside waits for what it sees there.
        list.call(calls.waitid, [UInt64(P_ALL.rawValue), 0, end, UInt64(WEXITED), 0], to: purpose)
        list.call(calls.exit_group, [0], to: purpose)
    }
}

/// siginfo_t of waitid(2), as the starter sends it.
enum ExitReport {
    static let size = MemoryLayout<siginfo_t>.size

    /// How the command ended: si_code says by what, si_status which (both after si_signo and si_errno, and si_status
    /// after the 8 bytes of si_pid and si_uid, with the union's alignment of 8 between).
    static func decode(_ bytes: [UInt8]) -> GuestExit {
        let code = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 8, as: Int32.self) }
        let status = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 24, as: Int32.self) }
        let exited: Int32 = 1
        return code == exited ? .exited(status) : .signalled(status)
    }
}
