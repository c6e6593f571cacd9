// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCHypervisor

/// Runs one job in a container made for it: the job's script is copied in, it runs as a user without rights, its result
/// is copied out, and nothing is left:
///
///     ci-runner DIRECTORY TEMPLATE SCRIPT RESULT
///
/// DIRECTORY has the store `primary`; TEMPLATE is the UUID of a template installed there, with `/bin/sh`. SCRIPT is
/// copied to `/job/script` and runs in `/job`; its file `/job/result` becomes the file RESULT. The program ends with
/// the script's status.
@main
enum CIRunner {
    static func main() async {
        do {
            try await run(CommandLine.arguments)
        } catch {
            // An error that leaves `main` would end the program by a trap.
            print("ci-runner: \(error)")
            exit(EXIT_FAILURE)
        }
    }

    static func run(_ arguments: [String]) async throws {
        guard arguments.count == 5 else { return print("usage: ci-runner DIRECTORY TEMPLATE SCRIPT RESULT") }
        let configuration = LXCHypervisor.Configuration(
            primary: "\(arguments[1])/primary", secondary: "\(arguments[1])/secondary")
        let status = try await LXCHypervisor.withHost(configuration) { host in
            // A clone of the template: a snapshot or shared extents where the file system has them, so this is quick.
            var specification = LXCHypervisor.ContainerSpecification(
                name: try GuestName("job-\(UInt32.random(in: 0 ... .max))"),
                template: try TemplateID(parsing: arguments[2]))
            specification.initProcess = .init(path: "/bin/sleep", arguments: ["1d"])
            specification.limits.memory = .mebibytes(1024)
            specification.limits.processes = 512
            specification.cpus = 2
            let container = try await host.startTransientContainer(specification)
            let outcome: Result<Int32, any Error>
            do {
                outcome = .success(try await run(arguments[3], in: container, result: arguments[4]))
            } catch {
                outcome = .failure(error)
            }
            // Whatever the job has started ends here, and its root is deleted.
            try await container.delete()
            return try outcome.get()
        }
        exit(status)
    }

    static func run(_ script: String, in container: LXCHypervisor.Container, result: String) async throws -> Int32 {
        let owner = LXCHypervisor.ContainerFiles.Owner(user: 1000, group: 1000)
        try await container.files.makeDirectory("/job", owner: owner)
        try await container.files.push(script, to: "/job/script", mode: 0o755, owner: owner)

        var command = GuestCommand(["/bin/sh", "/job/script"])
        command.user = .id(1000)
        command.workingDirectory = "/job"
        // A job that exceeds its time limit is killed, with all its processes, and so is one that writes without end.
        let job = try await container.run(command, timeout: .seconds(3600), limit: .mebibytes(64))
        try FileHandle.standardOutput.write(contentsOf: Data(job.output))
        try FileHandle.standardError.write(contentsOf: Data(job.errorOutput))

        if job.status == .exited(0) { try await container.files.pull("/job/result", to: result) }
        return job.status.shellStatus
    }
}
