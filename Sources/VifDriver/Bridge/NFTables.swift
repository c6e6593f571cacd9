import CLinux
import Glibc
import LXCCore
import LinuxSystem

/// The program `nft`, which changes the kernel's packet filter.
///
/// Synchronous: call it on a `BlockingPool`.
enum NFTables {
    /// Where the program is found.
    private static let places = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/usr/local/sbin/nft"]
    /// The kernel answers in milliseconds; a program that hangs keeps a guest from starting no longer than this.
    private static let patience = Duration.seconds(10)
    /// How much of a complaint is kept.
    private static let complaintLimit = 4096

    /// Runs commands as one transaction: all of them are done or none.
    ///
    /// - Throws: `LXCError` `unsupported` without the program, or where the kernel refuses; `timedOut`, `io`.
    static func run(_ commands: String) throws {
        guard let program = places.first(where: { access($0, X_OK) == 0 }) else {
            throw LXCError(
                .unsupported,
                "a NIC's security needs the program nft, which is not installed; install the package nftables")
        }
        let input = try memoryFile(commands)
        defer { close(input) }
        var ends: [CInt] = [-1, -1]
        guard clinux_pipe(&ends) == 0 else { throw LXCError.lastSystemCall("pipe2", "start \(program)") }
        defer { close(ends[0]) }
        let process: pid_t
        do {
            defer { close(ends[1]) }
            process = try start(program, input: input, output: ends[1])
        }
        try finish(process, program, output: ends[0])
    }

    /// A file in memory: however the program reads it, writing it never waits.
    private static func memoryFile(_ text: String) throws -> CInt {
        let file = clinux_memory_file("nft")
        guard file >= 0 else { throw LXCError.lastSystemCall("memfd_create", "start nft") }
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            guard count > 0 || errno == EINTR else {
                defer { close(file) }
                throw LXCError.lastSystemCall("write", "start nft")
            }
            written += max(count, 0)
        }
        lseek(file, 0, SEEK_SET)
        return file
    }

    /// Starts the program with nothing of this one's but the two descriptors.
    private static func start(_ program: String, input: CInt, output: CInt) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        // Out of the way of the numbers they will have.
        let sources = [input, output, output].map { fcntl($0, F_DUPFD_CLOEXEC, 64) }
        defer { for source in sources where source >= 0 { close(source) } }
        for (source, target) in zip(sources, CInt(0)...) {
            guard source >= 0 else { throw LXCError.lastSystemCall("fcntl", "start \(program)") }
            posix_spawn_file_actions_adddup2(&actions, source, target)
        }
        clinux_spawn_close_from(&actions, 3)
        var signals = sigset_t()
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        var process: pid_t = 0
        var arguments = [program, "-f", "-"].map { (text: String) in strdup(text) } + [nil]
        defer { for argument in arguments { free(argument) } }
        let result = posix_spawn(&process, program, &actions, &attributes, &arguments, [nil])
        guard result == 0 else { throw LXCError.systemCall("posix_spawn", errno: result, "start \(program)") }
        return process
    }

    /// Waits for the program's end, and ends it when that does not come.
    private static func finish(_ process: pid_t, _ program: String, output: CInt) throws {
        let complaint = readAll(output, until: ContinuousClock.now + patience)
        // Otherwise it has closed its output, as it does when it ends.
        if complaint == nil { kill(process, SIGKILL) }
        var status: CInt = 0
        while waitpid(process, &status, 0) < 0 {
            // Where the program this is part of ignores SIGCHLD nobody can tell how it ended.
            guard errno == EINTR else { throw LXCError.lastSystemCall("waitpid", "learn how \(program) ended") }
        }
        guard let complaint else {
            throw LXCError(.timedOut, "\(program) did not end within \(patience); a NIC's security is not enforced")
        }
        guard status == 0 else {
            throw LXCError(
                .unsupported,
                "the kernel does not take the rules of a NIC's security: \(complaint.escapedForDisplay)")
        }
    }

    /// What the program writes until it ends; nil when it does not end in time.
    private static func readAll(_ descriptor: CInt, until deadline: ContinuousClock.Instant) -> String? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let rest = (deadline - .now) / .milliseconds(1)
            guard rest > 0 else { return nil }
            var event = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&event, 1, CInt(rest.rounded(.up))) > 0 else { continue }
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<min(count, complaintLimit - bytes.count)]
        }
    }
}
