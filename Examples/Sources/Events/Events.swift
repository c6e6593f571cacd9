// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCHypervisor
import Logging
import Metrics
import ServiceLifecycle
import UnixSignals

/// Watches a host's containers, and prints events and metrics until it is interrupted:
///
///     events DIRECTORY
///
/// DIRECTORY has the store `primary`.
@main
enum Events {
    static func main() async {
        do {
            try await run(CommandLine.arguments)
        } catch {
            // An error that leaves `main` would end the program by a trap.
            print("events: \(error)")
            exit(EXIT_FAILURE)
        }
    }

    static func run(_ arguments: [String]) async throws {
        guard arguments.count == 2 else { return print("usage: events DIRECTORY") }
        // A real program bootstraps a backend, such as swift-prometheus, and a tracer the same way.
        MetricsSystem.bootstrap(PrintingMetrics())

        let configuration = LXCHypervisor.Configuration(
            primary: "\(arguments[1])/primary", secondary: "\(arguments[1])/secondary")
        try await LXCHypervisor.withHost(configuration) { host in
            // The host is itself a service: it restarts containers, renews leases, keeps console logs.
            let group = ServiceGroup(
                services: [host, Watch(host: host)], gracefulShutdownSignals: [.sigterm, .sigint],
                logger: Logger(label: "events"))
            try await group.run()
        }
    }
}

/// Prints each change of a container once, also across restarts of libvirtd, with the container's resource usage.
struct Watch: Service {
    let host: LXCHypervisor

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            for try await event in try await host.events() {
                print("event: \(event.guest) \(event.kind)")
                guard event.kind == .started else { continue }
                // It may have ended by now, which is no reason to stop watching.
                if let used = try? await host.container(event.guest).statistics() {
                    print("\(event.guest): \(used.memoryUsed) of memory")
                }
            }
        }
    }
}
