// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Dispatch
import FoundationEssentials
import LXCHypervisor
import OperatorSupport

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
            guard try await container.info().state.isActive else {
                throw LXCError(
                    .invalidState,
                    "container \(container.name) does not run; `lxcctl container start \(container.name)` starts it")
            }
            try await container.withConsole { console in
                try await ConsoleSession(name: container.name, seconds: seconds).run(console) { size in
                    // A console without a size of its own is still one.
                    try? await container.resizeConsole(to: size)
                }
            }
        }
    }
}

/// This program's terminal, or its input and output, at a guest's console.
struct ConsoleSession {
    let name: GuestName
    /// After which it ends.
    let seconds: Double?

    /// Runs until the guest ends, the user detaches, or the time is over; `resize` receives the terminal's size.
    func run(
        _ console: any GuestConsole, resize: (@Sendable (TerminalSize) async -> Void)? = nil
    ) async throws {
        let terminal = RawTerminal()
        if terminal != nil { say("connected to \(name); Ctrl-] detaches") }
        let sizes = terminal.flatMap { _ in
            resize.map { resize in RawTerminal.watchSize { size in Task { await resize(size) } } }
        }
        if terminal != nil { await resize?(RawTerminal.size) }
        defer {
            sizes?.cancel()
            terminal?.restore()
            if terminal != nil { say("disconnected from \(name)") }
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
            try Output.write(bytes)
        }
    }

    /// Shows a message on the user's terminal, on lines of its own.
    private func say(_ text: String) {
        StandardError.write("\r\nlxcctl: \(text)\r\n")
    }

    /// Forwards this program's input; its end leaves the console open for its output.
    private func forwardInput(to console: any GuestConsole, detachable: Bool) -> Task<Void, Never> {
        Task {
            for await chunk in StandardInput() {
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
