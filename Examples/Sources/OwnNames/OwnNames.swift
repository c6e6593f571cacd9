// SPDX-License-Identifier: Apache-2.0

import LXCHypervisor

// A program with types of its own that are called as the library's are: the library's are members of `LXCHypervisor`.

/// The configuration of this program.
struct Configuration {
    var directory: String
}

/// A container as this program shows it.
struct Container {
    let name: String
    let isRunning: Bool
}

/// The kind of connection of this program.
enum Connection { case local, remote }

/// The permissions of this program.
enum Policy { case readOnly, all }

/// A machine this program draws.
struct SystemVM {}

/// A surface of this program.
struct Interface {}

/// The containers of the host whose stores are below the configuration's directory.
func containers(_ configuration: Configuration) async throws -> [Container] {
    var host = LXCHypervisor.Configuration(
        primary: "\(configuration.directory)/primary", secondary: "\(configuration.directory)/secondary")
    host.policy = LXCHypervisor.Policy()
    host.connection = .automatic()
    return try await LXCHypervisor.withHost(host) { host in
        var shown: [Container] = []
        for container: LXCHypervisor.Container in try await host.containers() {
            let state = try await container.info().state
            shown.append(Container(name: container.name.description, isRunning: state == .running))
        }
        return shown
    }
}

@main
enum OwnNames {
    static func main() async throws {
        guard let directory = CommandLine.arguments.dropFirst().first else {
            return print("usage: own-names DIRECTORY")
        }
        for container in try await containers(Configuration(directory: directory)) {
            print(container.name, container.isRunning ? "runs" : "does not run")
        }
    }
}
