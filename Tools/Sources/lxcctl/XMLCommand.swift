// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LXCHypervisor
import OperatorSupport

struct XMLCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "xml", abstract: "Prints the domain document a container would get; nothing is made.")

    @Argument(help: "A JSON file with a container's specification.")
    var specification: String
    @Option(help: ArgumentHelp("The primary store's directory on the host, which need not be there.", valueName: "dir"))
    var primary: String = "/mnt/primary"
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let specification: LXCHypervisor.ContainerSpecification = try JSONFile.specification(specification)
        let interfaces = try await LXCHypervisor.VifDrivers().plug(specification.nics, of: specification.name)
        let document = try specification.domain(
            root: "\(localPath(primary))/\(specification.volume)", interfaces: interfaces)
        let xml = try document.xml()
        if common.json { return try Output.json(["xml": xml]) }
        // `print` ends the line itself.
        print(xml.hasSuffix("\n") ? String(xml.dropLast()) : xml)
    }
}
