// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LXCHypervisor
import TestSupport
import Testing

/// Fifty containers at once.
@Suite(.tags(.host, .slow), .host(.root, .libvirtd, .busybox), .limited)
struct ManyContainersTests {
    private static let count = 50

    @Test func theyAreCreatedMeasuredAndStoppedSideBySide() async throws {
        try await TestHost.run { host in
            let template = try await host.install()
            let names = try (1...Self.count).map { try GuestName("many-\($0)") }
            let containers = try await together(names) { name in
                var specification = ContainerSpecification(name: name, template: template.id)
                specification.limits.memory = .mebibytes(32)
                let container = try await host.lxc.createContainer(specification)
                try await container.start()
                return container
            }
            let listed = try await host.lxc.containers()
            #expect(Set(listed.map(\.name)) == Set(names))
            for container in listed { #expect(try await container.info().state == .running) }
            let statistics = try await host.lxc.statistics()
            #expect(Set(statistics.keys) == Set(names))
            #expect(statistics.values.allSatisfy { $0.memoryUsed.bytes > 0 && $0.memoryLimit == .mebibytes(32) })

            let maps = try await together(containers) { try await $0.domain().idMap }
            #expect(Set(maps.map { $0?.users.first?.host }).count == Self.count, "nobody shares host ids")
            let answers = try await together(containers) {
                try await $0.run(GuestCommand(["/bin/busybox", "id", "-u"])).text
            }
            #expect(answers.allSatisfy { $0 == "0\n" })

            let outcomes = try await together(containers) { try await $0.stop(within: .seconds(120)) }
            #expect(
                outcomes.allSatisfy { $0 == .graceful }, "\(outcomes.count { $0 == .graceful }) of \(outcomes.count)")
            _ = try await together(containers) { try await $0.delete() }
            #expect(try await host.lxc.containers().isEmpty)
            #expect(try await host.leftovers() == [])
        }
    }

    /// Does something with each of them, all at once.
    private func together<Each: Sendable, Result: Sendable>(
        _ all: [Each], _ body: @escaping @Sendable (Each) async throws -> Result
    ) async throws -> [Result] {
        try await withThrowingTaskGroup(of: Result.self) { group in
            for each in all { group.addTask { try await body(each) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }
}
