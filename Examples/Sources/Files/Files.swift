// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCHypervisor

/// Reads and writes the files of a container, stopped and running:
///
///     files DIRECTORY TEMPLATE
///
/// DIRECTORY has the store `primary`; TEMPLATE is the UUID of a template installed there.
@main
enum Files {
    static func main() async {
        do {
            try await run(CommandLine.arguments)
        } catch {
            // An error that leaves `main` would end the program by a trap.
            print("files: \(error)")
            exit(EXIT_FAILURE)
        }
    }

    static func run(_ arguments: [String]) async throws {
        guard arguments.count == 3 else { return print("usage: files DIRECTORY TEMPLATE") }
        let configuration = LXCHypervisor.Configuration(
            primary: "\(arguments[1])/primary", secondary: "\(arguments[1])/secondary")
        try await LXCHypervisor.withHost(configuration) { host in
            var specification = LXCHypervisor.ContainerSpecification(
                name: try GuestName("files-example"), template: try TemplateID(parsing: arguments[2]))
            specification.initProcess = .init(path: "/bin/sleep", arguments: ["1d"])
            let container = try await host.createContainer(specification)
            do {
                try await work(with: container, in: arguments[1])
            } catch {
                try? await container.delete()
                throw error
            }
            try await container.delete()
        }
    }

    static func work(with container: LXCHypervisor.Container, in directory: String) async throws {
        let files = container.files
        // The container is stopped: its volume is leased for each of these calls. Owners are ids as the container counts
        // them; the library maps them to those of the host.
        try await files.makeDirectory("/srv/app", owner: .init(user: 1000, group: 1000))
        try await files.write(Array("greeting = hello\n".utf8), to: "/srv/app/settings", mode: 0o640)

        // While it runs, the same calls see the container's view, including its mounts. Paths are resolved inside its
        // root, so a link to /etc/shadow leads to the container's, never to the host's.
        try await container.start()
        try await files.push("/etc/hosts", to: "/srv/app/hosts")
        print(try await files.list("/srv/app"))
        print(String(decoding: try await files.read("/srv/app/settings", limit: .kibibytes(64)), as: UTF8.self))
        if let status = try await files.status(of: "/srv/app/settings") {
            print("owner \(status.user):\(status.group), mode \(String(status.mode, radix: 8))")
        }

        // A file of any size is copied to the host without passing through memory; the name must be free there.
        try await files.pull("/srv/app/hosts", to: "\(directory)/hosts-of-the-container")
        try await files.remove("/srv/app/hosts")
        try await container.stop(within: .seconds(1))
    }
}
