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
            let sizes = terminal.map { _ in
                RawTerminal.watchSize { size in Task { try? await container.resizeConsole(to: size) } }
            }
            // A console without a size of its own is still one.
            if terminal != nil { try? await container.resizeConsole(to: RawTerminal.size) }
            defer {
                sizes?.cancel()
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
