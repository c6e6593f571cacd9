// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Glibc
import LXCHypervisor
import Synchronization

/// This program's input, chunk by chunk; the next is read when it is asked for.
struct StandardInput: AsyncSequence, Sendable {
    struct AsyncIterator: AsyncIteratorProtocol {
        /// Reading blocks, so it has a thread of its own.
        private let queue = DispatchQueue(label: "lxcctl.input")

        mutating func next() async -> [UInt8]? {
            await withCheckedContinuation { continuation in
                queue.async {
                    var buffer = [UInt8](repeating: 0, count: 64 << 10)
                    let count = read(STDIN_FILENO, &buffer, buffer.count)
                    continuation.resume(returning: count > 0 ? Array(buffer[..<count]) : nil)
                }
            }
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator() }
}

/// An output of this program. Its reader may pause for any time without blocking this program: writing has a thread of
/// its own, and waiting for it can be given up.
final class StandardOutput: Sendable {
    private let descriptor: CInt
    private let queue = DispatchQueue(label: "lxcctl.output")

    init(_ descriptor: CInt) { self.descriptor = descriptor }

    /// Writes all of it.
    ///
    /// - Throws: `CancellationError`, whether or not all was written by then; `LXCError` `io`.
    func write(_ bytes: [UInt8]) async throws {
        let waiting = Waiting()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard waiting.begin(continuation) else { return }
                queue.async { [descriptor] in waiting.end(Result { try Self.writeAll(bytes, to: descriptor) }) }
            }
        } onCancel: {
            waiting.end(.failure(CancellationError()))
        }
    }

    private static func writeAll(_ bytes: [UInt8], to descriptor: CInt) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EAGAIN {
                // Another program has made the shared file description non-blocking.
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&ready, 1, -1)
                continue
            }
            guard count >= 0 || errno == EINTR else {
                let cause = SystemCallError("write", errno: errno)
                throw LXCError(.io, "cannot write what the command writes", cause: cause)
            }
            rest = rest.dropFirst(max(count, 0))
        }
    }

    /// The waiter for a write: resumed once, by its end or by the cancellation.
    private final class Waiting: Sendable {
        private struct State {
            var continuation: CheckedContinuation<Void, any Error>?
            var isEnded = false
        }

        private let state = Mutex(State())

        /// False if it was given up before it started.
        func begin(_ continuation: CheckedContinuation<Void, any Error>) -> Bool {
            let isEnded = state.withLock { state in
                if !state.isEnded { state.continuation = continuation }
                return state.isEnded
            }
            if isEnded { continuation.resume(throwing: CancellationError()) }
            return !isEnded
        }

        func end(_ result: Result<Void, any Error>) {
            let waiting = state.withLock { state in
                state.isEnded = true
                return state.continuation.take()
            }
            waiting?.resume(with: result)
        }
    }
}

/// Standard input in raw mode: every key goes to the container, also Ctrl-C.
struct RawTerminal {
    private let saved: termios

    /// Nil when standard input is not a terminal.
    init?() {
        var settings = termios()
        guard isatty(STDIN_FILENO) == 1, tcgetattr(STDIN_FILENO, &settings) == 0 else { return nil }
        saved = settings
        cfmakeraw(&settings)
        tcsetattr(STDIN_FILENO, TCSANOW, &settings)
    }

    func restore() {
        var settings = saved
        tcsetattr(STDIN_FILENO, TCSANOW, &settings)
    }

    /// The terminal's size now.
    static var size: TerminalSize {
        var size = winsize()
        guard ioctl(STDIN_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 0, size.ws_col > 0 else {
            return TerminalSize()
        }
        return TerminalSize(rows: size.ws_row, columns: size.ws_col)
    }

    /// Calls `changed` whenever the terminal gets another size, until the source is cancelled.
    static func watchSize(_ changed: @escaping @Sendable (TerminalSize) -> Void) -> any DispatchSourceSignal {
        let source = DispatchSource.makeSignalSource(signal: SIGWINCH, queue: .global())
        source.setEventHandler { @Sendable in changed(size) }
        source.resume()
        return source
    }
}
