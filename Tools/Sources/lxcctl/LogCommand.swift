// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LXCHypervisor

struct ContainerLog: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Prints the log of a container's console.",
        discussion:
            "It is kept of containers whose specification says consoleLog, while a program runs that watches, as "
            + "host-agent does. With --follow it is printed as it comes, until it is interrupted.")

    @OptionGroup var argument: ContainerArgument
    @Flag(help: "Go on with what comes.")
    var follow = false
    @Option(help: ArgumentHelp("How much is printed of what there is: the last; by default 64KiB.", valueName: "size"))
    var bytes: String?

    func run() async throws {
        let limit = try bytes.map { try ByteCount(parsing: $0) } ?? .kibibytes(64)
        try await argument.withContainer { container in
            var part = try await container.consoleLog(last: limit)
            try print(part)
            while follow {
                try await Task.sleep(for: .milliseconds(250))
                part = try await container.consoleLog(after: part.position, last: ByteCount(.max))
                try print(part)
            }
        }
    }

    private func print(_ part: LXCHypervisor.ConsoleLogPart) throws {
        try Output.write(part.bytes)
    }
}
