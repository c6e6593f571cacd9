import ArgumentParser
import Foundation
import LXCHypervisor

struct ContainerConsole: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "console", abstract: "Connects this terminal to a container's console.",
        discussion: "On a terminal Ctrl-] detaches. Ends with the container.")

    @OptionGroup var argument: ContainerArgument
    @Option(name: .customLong("for"), help: ArgumentHelp("Detach after so many seconds.", valueName: "seconds"))
    var seconds: Double?

    func validate() throws {
        if let seconds { try checkSeconds(seconds, of: "--for") }
    }

    func run() async throws {
        try await argument.withContainer { container in
            guard try await container.status().state.isActive else {
                throw LXCError(
                    .invalidState,
                    "container \(container.name) does not run; `lxcctl container start \(container.name)` starts it")
            }
            let console = try await container.openConsole()
            let terminal = RawTerminal()
            if terminal != nil { say("connected to \(container.name); Ctrl-] detaches") }
            defer {
                terminal?.restore()
                if terminal != nil { say("disconnected from \(container.name)") }
            }
            let input = forwardInput(to: console, detachable: terminal != nil)
            let timer = seconds.map { seconds in
                Task {
                    try await Task.sleep(for: .seconds(seconds))
                    await console.close()
                }
            }
            defer {
                input.cancel()
                timer?.cancel()
            }
            for try await bytes in console.output {
                // Whoever reads this output may have gone.
                try FileHandle.standardOutput.write(contentsOf: Data(bytes))
            }
            await console.close()
        }
    }

    /// Tells the person at the terminal, on lines of its own.
    private func say(_ text: String) {
        try? FileHandle.standardError.write(contentsOf: Data("\r\nlxcctl: \(text)\r\n".utf8))
    }

    /// Reads this program's input on a thread of its own; the end of input leaves the console open for its output.
    private func forwardInput(to console: any GuestConsole, detachable: Bool) -> Task<Void, Never> {
        let (chunks, continuation) = AsyncStream.makeStream(of: [UInt8].self)
        Thread.detachNewThread {
            var buffer = [UInt8](repeating: 0, count: 4096)
            while true {
                let count = read(STDIN_FILENO, &buffer, buffer.count)
                guard count > 0 else { break }
                continuation.yield(Array(buffer[..<count]))
            }
            continuation.finish()
        }
        return Task {
            for await chunk in chunks {
                if detachable, let detach = chunk.firstIndex(of: 0x1D) {
                    try? await console.write(Array(chunk[..<detach]))
                    await console.close()
                    return
                }
                guard (try? await console.write(chunk)) != nil else { return }
            }
        }
    }
}

/// Standard input in raw mode: every key goes to the container, also Ctrl-C.
private struct RawTerminal {
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
}
