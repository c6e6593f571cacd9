// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore

/// Writes the calls that turn a process of the host into a command inside a container.
///
/// The process stays outside of the container's PID namespace and control groups: nothing inside sees it, delays it or
/// ends it. Its only child is the command, which is visible, and has nothing of the host: no descriptor but its
/// streams, no memory, no keyring, no capability, limit or priority that process 1 lacks.
struct EnterScript {
    /// The numbers of the program's descriptors, beside those of its streams.
    struct Numbers {
        /// The descriptor for reports; its end means that no one waits for the command any more.
        static let report: UInt64 = 3
        /// The command's control group: the directory it is in, its file of processes, and the file that kills it.
        let controlGroup: UInt64?
        let firstNamespace: UInt64
        /// The program itself comes after all that is given to it.
        let program: UInt64

        init(namespaces: Int, withControlGroup: Bool) {
            controlGroup = withControlGroup ? Self.report + 1 : nil
            firstNamespace = Self.report + (withControlGroup ? 4 : 1)
            program = firstNamespace + UInt64(namespaces)
        }
    }

    private(set) var list = SystemCallList()
    private let calls = clinux_calls
    private let requests = clinux_requests
    private let numbers: Numbers
    /// The directory the command's control group is in knows it by this name.
    private let controlGroupName: String?

    /// - Parameters:
    ///   - command: the command to run.
    ///   - confinement: the confinement of the command.
    ///   - namespaces: the CLONE_NEW… flags of the namespaces.
    ///   - controlGroup: the name of the command's control group; nil for none.
    init(_ command: ResolvedCommand, _ confinement: Confinement, namespaces: [CInt], controlGroup: String?) {
        numbers = Numbers(namespaces: namespaces.count, withControlGroup: controlGroup != nil)
        controlGroupName = controlGroup
        hide()
        let files = open(confinement)
        prepare(confinement, besides: files.next)
        enter(namespaces)
        if let size = command.terminal { makeTerminal(size, of: command.user) }
        for number in [Numbers.report] + (numbers.controlGroup.map { [$0, $0 + 1, $0 + 2] } ?? []) {
            list.call(calls.fcntl, [number, UInt64(F_SETFD), UInt64(FD_CLOEXEC)], to: "keep the starter's descriptors")
        }
        let waiting = list.place(words: [StarterWatch.pollCommand, StarterWatch.pollReport])
        let flags = UInt64(clinux_clone.vfork | clinux_clone.pidfd | SIGCHLD)
        let child = list.call(calls.clone, [flags, 0, waiting], to: "start a process")
        endWithStarter()
        join(confinement, files)
        confine(command, confinement, isOfHostUsers: !namespaces.contains(clinux_clone.user))
        execute(command)
        list.branchHere(whenPositive: child)
        StarterWatch(child: child, waiting: waiting, numbers, controlGroupName).add(to: &list)
    }

    private mutating func hide() {
        list.call(calls.prctl, [requests.dumpable, 0], to: "hide from debuggers")
        list.call(calls.close, [numbers.program], to: "close the program's file")
    }

    /// Files of the host's that the command writes to when the host's root directory is out of its reach.
    private struct Files {
        /// The container's control groups.
        var controlGroups: [UInt64] = []
        /// `/proc`.
        var processes: UInt64?
        /// The first number that is free.
        var next: UInt64
    }

    /// Opens them; the number of each is the lowest that is free. They are closed when the command begins.
    private mutating func open(_ confinement: Confinement) -> Files {
        var files = Files(next: numbers.program)
        func add(_ path: String, _ flags: CInt, _ purpose: String) -> UInt64 {
            list.call(
                calls.openat,
                [UInt64(bitPattern: Int64(AT_FDCWD)), list.place(path), UInt64(flags | clinux_o_cloexec)], to: purpose)
            defer { files.next += 1 }
            return files.next
        }
        for file in confinement.controlGroupFiles {
            files.controlGroups.append(add(file, O_WRONLY, "join the control group of \(file)"))
        }
        if confinement.securityLabel != nil {
            files.processes = add("/proc", clinux_o_path | clinux_o_directory, "open /proc")
        }
        return files
    }

    /// Settings that need the host's root. The command inherits them.
    private mutating func prepare(_ confinement: Confinement, besides number: UInt64) {
        let adjustment = Array(confinement.memoryKillAdjustment.utf8)
        let purpose = "set its oom_score_adj"
        let path = list.place("/proc/self/oom_score_adj")
        list.call(calls.openat, [UInt64(bitPattern: Int64(AT_FDCWD)), path, UInt64(O_WRONLY)], to: purpose)
        list.call(calls.write, [number, list.place(adjustment), UInt64(adjustment.count)], to: purpose)
        list.call(calls.close, [number], to: purpose)
        for (resource, limit) in confinement.limits.enumerated() { set(limit, of: UInt64(resource)) }
        let scheduling = confinement.scheduling
        // struct sched_attr: its size and the policy, no flags, the nice value and the priority.
        let attributes = list.place(words: [
            48 | UInt64(scheduling.policy) << 32, 0,
            UInt64(UInt32(bitPattern: scheduling.nice)) | UInt64(scheduling.priority) << 32, 0, 0, 0,
        ])
        // Without the permission for a higher priority the present one stays.
        list.call(calls.sched_setattr, [0, attributes, 0], to: "set its priority", tolerating: [EPERM])
        let ofProcess: UInt64 = 1
        list.call(
            calls.ioprio_set, [ofProcess, 0, UInt64(UInt32(bitPattern: confinement.ioPriority))],
            to: "set its priority for disks", tolerating: [EPERM, ENOSYS])
        // The host's keys stay outside (keyctl(2), KEYCTL_JOIN_SESSION_KEYRING).
        list.call(calls.keyctl, [1, 0], to: "leave the host's session keyring", tolerating: [ENOSYS])
    }

    /// First as much of the limit as may be set without CAP_SYS_RESOURCE, then all of it.
    private mutating func set(_ limit: Confinement.ResourceLimit, of resource: UInt64) {
        var (soft, hard): (UInt64, UInt64) = (0, 0)
        guard clinux_resource_limit(CInt(resource), &soft, &hard) == 0 else { return }
        hard = min(limit.hard, hard)
        let purpose = "set its resource limits"
        for (soft, hard) in [(min(limit.soft, hard), hard), (limit.soft, limit.hard)] {
            list.call(
                calls.prlimit64, [0, resource, list.place(words: [soft, hard]), 0], to: purpose, tolerating: [EPERM])
        }
    }

    private mutating func enter(_ namespaces: [CInt]) {
        for (index, kind) in namespaces.enumerated() {
            let descriptor = numbers.firstNamespace + UInt64(index)
            list.call(calls.setns, [descriptor, UInt64(kind)], to: "enter the container's namespaces")
            list.call(calls.close, [descriptor], to: "close a namespace")
        }
        list.call(calls.setresgid, [0, 0, 0], to: "become the container's root")
        list.call(calls.setgroups, [0, 0], to: "leave the host's groups")
        list.call(calls.setresuid, [0, 0, 0], to: "become the container's root")
    }

    /// A terminal of the container's own, so that programs inside find it by its name. The host gets its controlling
    /// end, and accepts no other kind of file for it.
    private mutating func makeTerminal(_ size: TerminalSize, of user: UInt32) {
        let purpose = "make a terminal inside"
        // The namespaces are closed, so the two get the first numbers that are free.
        let (master, peer) = (numbers.firstNamespace, numbers.firstNamespace + 1)
        // struct open_how with RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS: devpts has no links of its own.
        let how = list.place(words: [UInt64(O_RDWR | O_NOCTTY | O_NONBLOCK), 0, 0x06])
        let path = list.place("/dev/pts/ptmx")
        list.call(calls.openat2, [UInt64(bitPattern: Int64(AT_FDCWD)), path, how, 24], to: purpose)
        list.call(calls.ioctl, [master, requests.lock_terminal, list.place(words: [0])], to: purpose)
        list.call(calls.ioctl, [master, requests.open_peer, UInt64(O_RDWR | O_NOCTTY)], to: purpose)
        // struct winsize: before the command starts, which may query it immediately.
        let characters = UInt64(size.rows) | UInt64(size.columns) << 16
        list.call(calls.ioctl, [master, requests.window_size, list.place(words: [characters])], to: purpose)
        for stream in 0...2 as ClosedRange<UInt64> { list.call(calls.dup3, [peer, stream, 0], to: purpose) }
        list.call(calls.close, [peer], to: purpose)
        // Owned as the kernel and login(1) have it. EINVAL: the container has no such group.
        let terminalGroup: UInt64 = 5
        list.call(calls.fchown, [0, UInt64(user), terminalGroup], to: purpose, tolerating: [EINVAL])
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
        list.call(calls.sendmsg, [Numbers.report, message, UInt64(MSG_NOSIGNAL)], to: purpose)
    }

    /// Without its starter the command would be neither reported nor ended with its client.
    private mutating func endWithStarter() {
        list.call(calls.prctl, [requests.death_signal, UInt64(SIGKILL)], to: "end with its starter")
    }

    /// The last thing before it is confined: in a group that has no room for another process it could not be made.
    private mutating func join(_ confinement: Confinement, _ files: Files) {
        let itself = list.place(Array("0".utf8))
        for (file, number) in zip(confinement.controlGroupFiles, files.controlGroups) {
            list.call(calls.write, [number, itself, 1], to: "join the control group of \(file)")
        }
        if let group = numbers.controlGroup {
            list.call(calls.write, [group + 1, itself, 1], to: "join its own control group")
        }
        let processors = list.place(words: confinement.processors)
        // EINVAL: none of them is in the control group, which decides alone then.
        list.call(
            calls.sched_setaffinity, [0, UInt64(confinement.processors.count * 8), processors],
            to: "choose its processors", tolerating: [EINVAL])
        list.call(calls.set_mempolicy, [0, 0, 0], to: "choose its memory", tolerating: [ENOSYS, EPERM])
        if let label = confinement.securityLabel, let processes = files.processes { ask(for: label, in: processes) }
    }

    /// For the next program executed. It is mandatory: an unavailable label is a failure.
    private mutating func ask(for label: SecurityLabel, in processes: UInt64) {
        let purpose = "take the security label \(label.request.escapedForDisplay)"
        let path = list.place("thread-self/\(label.file)")
        let request = Array(label.request.utf8)
        let file = list.call(calls.openat, [processes, path, UInt64(O_WRONLY | clinux_o_cloexec)], to: purpose)
        let write = list.call(calls.write, [0, list.place(request), UInt64(request.count)], to: purpose)
        list.store(resultOf: file, asFirstArgumentOf: write)
    }

    private mutating func confine(_ command: ResolvedCommand, _ confinement: Confinement, isOfHostUsers: Bool) {
        // Signals reserved by libraries, which posix_spawn(3) therefore leaves unchanged.
        let standard = list.place(words: [0, 0, 0, 0])
        for signal in 32...33 as ClosedRange<UInt64> {
            list.call(calls.rt_sigaction, [signal, standard, 0, 8], to: "reset its signals")
        }
        let replace: UInt64 = 2
        list.call(calls.rt_sigprocmask, [replace, standard, 0, 8], to: "reset its signals")
        list.call(calls.personality, [confinement.personality], to: "set its personality")
        let standardSlack: UInt64 = 50_000
        list.call(calls.prctl, [requests.timer_slack, standardSlack], to: "reset its timers", tolerating: [EPERM])
        list.call(calls.setsid, [], to: "begin a session")
        if command.terminal != nil {
            list.call(calls.ioctl, [0, requests.control_terminal, 0], to: "control its terminal")
        }
        drop(confinement.capabilities, isOfHostUsers: isOfHostUsers, isRoot: command.user == 0)
        list.call(calls.umask, [0o022], to: "set the file mode creation mask")
        let groups = list.place(command.groups.flatMap { withUnsafeBytes(of: $0, Array.init) })
        list.call(calls.setgroups, [UInt64(command.groups.count), groups], to: "set its groups")
        let (user, group) = (UInt64(command.user), UInt64(command.group))
        list.call(calls.setresgid, [group, group, group], to: "become group \(group)")
        list.call(calls.setresuid, [user, user, user], to: "become user \(user)")
        // Becoming another user has undone it.
        endWithStarter()
        if confinement.hasNoNewPrivileges {
            list.call(calls.prctl, [requests.no_new_privileges, 1, 0, 0, 0], to: "give up new privileges")
        }
    }

    private mutating func drop(_ capabilities: Confinement.Capabilities, isOfHostUsers: Bool, isRoot: Bool) {
        let purpose = "drop a capability"
        // A user namespace that was entered has reset these; where they are locked they are the host's choice.
        if isOfHostUsers {
            list.call(calls.prctl, [requests.secure_bits, 0], to: purpose, tolerating: [EPERM])
        }
        // EINVAL: a capability this kernel does not know.
        for capability in 0..<64 as Range<UInt64> where capabilities.bounding >> capability & 1 == 0 {
            list.call(calls.prctl, [requests.drop_bounding, capability], to: purpose, tolerating: [EINVAL])
        }
        let (raise, clearAll): (UInt64, UInt64) = (2, 4)
        list.call(calls.prctl, [requests.ambient, clearAll, 0, 0, 0], to: purpose, tolerating: [EINVAL])
        // capset(2), version 3: the starter keeps its permitted set until it becomes the command, and passes on process
        // 1's.
        let header = list.place(words: [0x2008_0522])
        let may = isOfHostUsers ? OwnCapabilities.afterExecution() : .max
        let low = { (set: UInt64) in set & 0xFFFF_FFFF }
        let (inheritable, high) = (capabilities.inheritable & may, may >> 32)
        let sets = list.place(words: [
            low(may) | low(may) << 32, low(inheritable) | high << 32, high | (inheritable >> 32) << 32,
        ])
        list.call(calls.capset, [header, sets], to: purpose)
        guard isRoot else { return }
        for capability in 0..<64 as Range<UInt64> where capabilities.ambient & may >> capability & 1 == 1 {
            list.call(calls.prctl, [requests.ambient, raise, capability, 0, 0], to: "hand a capability on")
        }
    }

    /// Like execvp(3): a program missing in one directory is searched in the next, also after a permission failure,
    /// which is reported if none is found; a file that is not an executable is passed to the shell.
    private mutating func execute(_ command: ResolvedCommand) {
        let directory = command.workingDirectory
        list.call(calls.chdir, [list.place(directory)], to: "go to the directory \(directory.escapedForDisplay)")
        let arguments = list.place(list: command.arguments)
        let environment = list.place(list: command.environment)
        let paths = command.candidates.map { list.place($0) }
        let program = (command.arguments.first ?? "").escapedForDisplay
        let absent = [ENOENT, ENOTDIR, ESTALE, ENODEV, ETIMEDOUT]
        var scripts: [(call: SystemCallList.Call, path: String)] = []
        for (path, candidate) in zip(paths, command.candidates) {
            let call = list.call(
                calls.execve, [path, arguments, environment], to: "run \(program)", of: .execution,
                tolerating: absent + [EACCES, ENOEXEC])
            scripts.append((call, candidate))
        }
        // Once more, for the error.
        for (index, path) in paths.enumerated() {
            list.call(
                calls.execve, [path, arguments, environment], to: "run \(program)", of: .execution,
                tolerating: index == paths.count - 1 ? [] : absent)
        }
        let shell = list.place("/bin/sh")
        for (call, path) in scripts {
            list.branchHere(from: call, after: ENOEXEC)
            let arguments = list.place(list: ["/bin/sh", path] + command.arguments.dropFirst())
            list.call(
                calls.execve, [shell, arguments, environment], to: "run \(program), a script, by /bin/sh",
                of: .execution)
        }
    }
}
