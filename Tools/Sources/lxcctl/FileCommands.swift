// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LXCHypervisor

struct ContainerPush: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "push", abstract: "Copies a file into a container, running or not.")

    @OptionGroup var argument: ContainerArgument
    @Argument(help: "A file of this host.")
    var source: String
    @Argument(help: "Where it comes to be inside.")
    var path: String
    @Option(help: ArgumentHelp("Its permissions, in octal; by default those of the source.", valueName: "mode"))
    var mode: String?
    @Option(help: ArgumentHelp("Whose it is, as the container counts; by default 0:0.", valueName: "uid:gid"))
    var owner: String?

    func run() async throws {
        let mode = try mode.map(Self.mode)
        let owner = try owner.map(Self.owner) ?? .init()
        try await argument.withContainer { try await $0.files.push(source, to: path, mode: mode, owner: owner) }
    }

    private static func mode(_ text: String) throws -> UInt16 {
        guard let mode = UInt16(text, radix: 8), mode <= 0o7777 else {
            throw LXCError(.invalidArgument, "--mode takes octal permissions as 644, not \"\(text.escapedForDisplay)\"")
        }
        return mode
    }

    private static func owner(_ text: String) throws -> LXCHypervisor.ContainerFiles.Owner {
        let ids = text.split(separator: ":", omittingEmptySubsequences: false).map { UInt32($0) }
        guard ids.count == 2, let user = ids[0], let group = ids[1] else {
            throw LXCError(.invalidArgument, "--owner takes UID:GID, not \"\(text.escapedForDisplay)\"")
        }
        return .init(user: user, group: group)
    }
}

struct ContainerPull: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull", abstract: "Copies a file out of a container, running or not.")

    @OptionGroup var argument: ContainerArgument
    @Argument(help: "A file inside.")
    var path: String
    @Argument(help: "Where it comes to be on this host; must be free.")
    var destination: String

    func run() async throws {
        try await argument.withContainer { try await $0.files.pull(path, to: destination) }
    }
}
