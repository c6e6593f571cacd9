// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCHypervisor
import Synchronization

/// The three streams every program is started with, unless its starter has closed them.
enum StandardStreams {
    /// Occupies the numbers of closed streams, so that no file opened later gets one of them, and the output with it.
    static func reserve() {
        for number in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(number, F_GETFD) == -1 {
            // open(2) returns the lowest free number. Using the stream then fails.
            _ = open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY)
        }
    }
}

/// Prints in this module: Swift's own `print` silently loses output that cannot be written.
func print(_ value: Any) { PrintedOutput.shared.add("\(value)\n") }

/// All that is printed on standard output, and whether it got there.
final class PrintedOutput: Sendable {
    static let shared = PrintedOutput()

    private struct State {
        var waiting: [UInt8] = []
        /// The kernel's number for why output was lost.
        var failure: CInt?
    }

    private static let most = 64 << 10
    private let state = Mutex(State())

    /// Adds text; it is written with what follows, or by ``flush()``.
    func add(_ text: String) { add(Array(text.utf8)) }

    /// Adds bytes.
    func add(_ bytes: [UInt8]) {
        state.withLock { state in
            state.waiting += bytes
            if state.waiting.count >= Self.most { Self.write(&state) }
        }
    }

    /// Writes all that was added.
    ///
    /// - Throws: `LXCError` `io` when it, or anything before, could not be written.
    func flush() throws {
        let failure = state.withLock { state in
            Self.write(&state)
            return state.failure
        }
        guard let failure else { return }
        throw LXCError(.io, "the output could not be written: \(String(cString: strerror(failure)))")
    }

    private static func write(_ state: inout State) {
        defer { state.waiting = [] }
        var rest = state.waiting[...]
        while !rest.isEmpty, state.failure == nil {
            let count = rest.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                var ready = pollfd(fd: STDOUT_FILENO, events: Int16(POLLOUT), revents: 0)
                poll(&ready, 1, -1)
            } else if errno != EINTR {
                state.failure = errno
            }
        }
    }
}
