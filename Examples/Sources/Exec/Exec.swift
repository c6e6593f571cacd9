// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCHypervisor

/// Runs commands in a container that exists for them alone:
///
///     exec DIRECTORY TEMPLATE PROGRAM [ARGUMENT...]
///
/// DIRECTORY has the store `primary`; TEMPLATE is the UUID of a template installed there.
@main
enum Exec {
    static func main() async {
        do {
            try await run(CommandLine.arguments)
        } catch {
            // An error that leaves `main` would end the program by a trap.
            print("exec: \(error)")
            exit(EXIT_FAILURE)
        }
    }

    static func run(_ arguments: [String]) async throws {
        guard arguments.count > 3 else { return print("usage: exec DIRECTORY TEMPLATE PROGRAM [ARGUMENT...]") }
        let configuration = LXCHypervisor.Configuration(
            primary: "\(arguments[1])/primary", secondary: "\(arguments[1])/secondary")
        try await LXCHypervisor.withHost(configuration) { host in
            var specification = LXCHypervisor.ContainerSpecification(
                name: try GuestName("exec-example"), template: try TemplateID(parsing: arguments[2]))
            // Process 1 only has to be there; a full init would do as well.
            specification.initProcess = .init(path: "/bin/sleep", arguments: ["1d"])
            // Transient: libvirt forgets the container when it ends.
            let container = try await host.startTransientContainer(specification)
            do {
                try await runBriefly(in: container)
                try await stream(Array(arguments.dropFirst(3)), in: container)
            } catch {
                try? await container.delete()
                throw error
            }
            // Kills the container with everything in it, and deletes its root.
            try await container.delete()
        }
    }

    /// A command whose output fits into memory: `run` waits for its end, for a limited time.
    static func runBriefly(in container: LXCHypervisor.Container) async throws {
        let result = try await container.run(
            GuestCommand(["/bin/cat"]), input: Array("hello\n".utf8), timeout: .seconds(10))
        print("cat ended with status \(result.status.shellStatus): \(String(decoding: result.output, as: UTF8.self))")
    }

    /// A command whose output is handled while it arrives. Cancelling the task kills the command and its processes.
    static func stream(_ arguments: [String], in container: LXCHypervisor.Container) async throws {
        var command = GuestCommand(arguments)
        command.user = .id(65534)
        command.environment["LANG"] = "C.UTF-8"
        let process = try await container.execute(command)
        try await process.closeInput()
        // Both streams are read concurrently: a command blocks while one of them is full.
        async let errors: Void = copy(process.errorOutput, to: .standardError)
        try await copy(process.output, to: .standardOutput)
        try await errors
        print("status \(try await process.wait().shellStatus)")
    }

    static func copy(
        _ stream: any AsyncSequence<[UInt8], any Error> & Sendable, to file: FileHandle
    ) async throws {
        for try await bytes in stream { try file.write(contentsOf: Data(bytes)) }
    }
}
