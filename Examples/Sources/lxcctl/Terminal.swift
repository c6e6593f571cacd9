import Dispatch
import Foundation
import LXCHypervisor

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

/// Standard input in raw mode: every key goes to the container, also Ctrl-C.
struct RawTerminal {
    private let saved: termios

    /// Nil when standard input is no terminal.
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
