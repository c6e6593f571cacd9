// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCHypervisor

/// From a tar template to a running container and back, in one program:
///
///     quickstart ARCHIVE DIRECTORY [BRIDGE]
///
/// ARCHIVE is a root filesystem as tar or tar.gz with a `/sbin/init`; DIRECTORY, which must exist, holds the stores.
@main
enum Quickstart {
    static func main() async {
        do {
            try await run(CommandLine.arguments)
        } catch {
            // An error that leaves `main` would end the program by a trap.
            let text = (error as? LXCError)?.description ?? "\(error)"
            try? FileHandle.standardError.write(contentsOf: Data("quickstart: \(text)\n".utf8))
            exit(EXIT_FAILURE)
        }
    }

    static func run(_ arguments: [String]) async throws {
        guard arguments.count >= 3 else {
            print("usage: quickstart ARCHIVE DIRECTORY [BRIDGE]")
            exit(64)
        }
        let (archive, directory) = (arguments[1], arguments[2])
        for store in ["primary", "secondary"] {
            try FileManager.default.createDirectory(atPath: "\(directory)/\(store)", withIntermediateDirectories: true)
        }
        var configuration = LXCHypervisor.Configuration(
            primary: "\(directory)/primary", secondary: "\(directory)/secondary")
        configuration.makesMissingPool = true
        try await LXCHypervisor.withHost(configuration) { host in
            try await run(on: host, archive: archive, bridge: arguments.dropFirst(3).first)
        }
    }

    static func run(on host: LXCHypervisor, archive: String, bridge: String?) async throws {
        // Secondary storage: the archive, checked, as a plain tar.
        let key = TemplateKey(account: 1, id: 10)
        if try await !host.templates.list().templates.contains(where: { $0.key == key }) {
            let registration = TemplateRegistration(key: key, name: "quickstart", source: archive)
            try await host.registerTemplate(registration)
        }
        // Primary storage: unpacked once, then cloned for the container.
        let template = try await host.installTemplate(key)
        var specification = LXCHypervisor.ContainerSpecification(
            name: try GuestName("quickstart"), template: template.id)
        specification.limits.memory = .mebibytes(256)
        if let bridge { specification.nics = [NIC(bridge: bridge)] }
        let container = try await host.createContainer(specification)
        do {
            try await show(container)
        } catch {
            try? await container.delete()
            throw error
        }
        try await container.delete()
    }

    static func show(_ container: LXCHypervisor.Container) async throws {
        try await container.start()
        try await container.withConsole { console in
            let timer = Task {
                try await Task.sleep(for: .seconds(3))
                await console.close()
            }
            defer { timer.cancel() }
            for try await bytes in console.output {
                try FileHandle.standardOutput.write(contentsOf: Data(bytes))
            }
        }
        let statistics = try await container.statistics()
        print("memory: \(statistics.memoryUsed), cpu: \(statistics.cpuTime)")
        print("stopped: \(try await container.stop(within: .seconds(10)).rawValue)")
    }
}
