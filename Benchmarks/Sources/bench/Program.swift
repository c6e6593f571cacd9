// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// A program of the host with its arguments.
struct Program: CustomStringConvertible {
    /// It could not be run, or failed.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    let words: [String]

    init(_ words: [String]) { self.words = words }

    init(_ words: String...) { self.words = words }

    var description: String { words.joined(separator: " ") }

    /// Runs it to its end.
    ///
    /// - Parameter log: the file its output is added to.
    /// - Returns: the seconds from start to end, and its standard output.
    /// - Throws: ``Failure``.
    @discardableResult
    func run(log: String) throws -> (seconds: Double, output: String) {
        let output = "\(log).out"
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        var arguments = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        let clock = ContinuousClock()
        let start = clock.now
        var process: pid_t = 0
        let error = posix_spawnp(&process, words[0], &actions, nil, &arguments, environ)
        guard error == 0 else { throw Failure(description: "\(words[0]): \(String(cString: strerror(error)))") }
        var status: CInt = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        let duration = clock.now - start
        guard status == 0 else {
            let said = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
            throw Failure(description: "\(self) ended with status \(status >> 8): \(said.suffix(500))")
        }
        let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
        return (seconds, try String(contentsOfFile: output, encoding: .utf8))
    }
}
