// SPDX-License-Identifier: Apache-2.0

package import CLinux
import Glibc
import LXCCore

/// Starts programs.
package enum ChildProcess {
    /// Lower numbers are reserved for the descriptors passed to programs.
    private static let lowestOwn: CInt = 64

    /// Starts a program that gets nothing of this one but the descriptors it is given: no environment, no other
    /// descriptor, no blocked or ignored signal. posix_spawn(3) needs no copy of this program's memory.
    ///
    /// - Parameters:
    ///   - program: its absolute path.
    ///   - arguments: its arguments, the first being its name.
    ///   - descriptors: the program's descriptors from number 0 on. They stay open here.
    ///   - doing: the action, for an error message that begins "cannot".
    /// - Returns: its process number; the caller waits for its end.
    /// - Throws: `LXCError`.
    package static func spawn(
        _ program: String, _ arguments: [String], descriptors: [CInt], to doing: String
    ) throws -> pid_t {
        try requireNoNUL(program, "the path of a program")
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        // First out of the way of the numbers they will have.
        var away: [CInt] = []
        defer { for number in away { close(number) } }
        for (target, source) in zip(CInt(0)..., descriptors) {
            let number = fcntl(source, F_DUPFD_CLOEXEC, lowestOwn)
            guard number >= 0 else { throw LXCError.lastSystemCall("fcntl", doing) }
            away.append(number)
            posix_spawn_file_actions_adddup2(&actions, number, target)
        }
        clinux_spawn_close_from(&actions, CInt(descriptors.count))
        var signals = sigset_t()
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        var process: pid_t = 0
        var list = arguments.map { (text: String) in strdup(text) } + [nil]
        defer { for argument in list { free(argument) } }
        let result = posix_spawn(&process, program, &actions, &attributes, &list, [nil])
        guard result == 0 else { throw LXCError.systemCall("posix_spawn", errno: result, doing) }
        return process
    }
}
