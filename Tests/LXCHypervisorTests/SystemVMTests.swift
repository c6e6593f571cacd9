// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LXCHypervisor
import LXCTesting
import LibvirtXML
import Logging
import PrimaryStore
import StoreFiles
import TestSupport
import Testing

/// System VMs over in-memory drivers: what is refused before anything is made.
@Suite(.limited) struct SystemVMTests {
    private let containers = InMemoryHypervisorDriver()
    private let machines = InMemoryHypervisorDriver(type: .qemu)
    private let directory: ScratchDirectory

    init() throws { directory = try ScratchDirectory() }

    private func host(
        _ primary: (any PrimaryStore)? = nil, systemVMs: (any HypervisorDriver)? = nil
    ) async throws -> LXCHypervisor {
        let store: any PrimaryStore =
            if let primary { primary } else { try await SharedMountPointStore.create(at: directory.path) }
        return LXCHypervisor(
            driver: containers, primary: store, templates: InMemoryTemplateStore(),
            vifs: VifDrivers(standard: InMemoryVifDriver()), hostName: "host-1", systemVMs: systemVMs,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func specification() throws -> SystemVMSpecification {
        SystemVMSpecification(name: try GuestName("v-2-VM"), template: .random())
    }

    @Test func aHostWithoutADriverForThemSaysSo() async throws {
        let host = try await host()
        let specification = try specification()
        #expect(await codeThrown { try await host.createSystemVM(specification) } == .unsupported)
        #expect(await codeThrown { try await host.systemVM(specification.name) } == .unsupported)
        #expect(try await host.systemVMs().isEmpty)
    }

    @Test func aStoreWithoutDisksSaysSo() async throws {
        let host = try await host(InMemoryPrimaryStore(), systemVMs: machines)
        let specification = try specification()
        #expect(await codeThrown { try await host.createSystemVM(specification) } == .unsupported)
    }

    @Test func whatFailsLeavesNothing() async throws {
        let host = try await host(systemVMs: machines)
        var specification = try specification()
        // Its image is not installed.
        #expect(await codeThrown { try await host.createSystemVM(specification) } == .notFound)
        try directory.write(QcowImage().bytes, to: "image")
        let store = try #require(host.primary as? any DiskStore)
        _ = try await store.installImage(
            specification.template, from: DiskImage(path: directory["image"]), progress: nil)
        // The in-memory driver makes no disks.
        #expect(await codeThrown { try await host.createSystemVM(specification) } == .unsupported)
        specification.cpus = 0
        #expect(await codeThrown { try await host.createSystemVM(specification) } == .invalidArgument)
        #expect(try await store.contents().disks.isEmpty)
        #expect(directory.list(".lxc/staging").isEmpty && directory.list(".lxc/locks").isEmpty)
        #expect(try await machines.guests().isEmpty)
        #expect(await codeThrown { try await host.systemVM(specification.name) } == .notFound)
    }

    @Test func aContainersNameIsTaken() async throws {
        let host = try await host(systemVMs: machines)
        let specification = try specification()
        try await containers.define(
            Domain(type: .lxc, name: specification.name.description, os: .container(initPath: "/sbin/init")))
        let error = await #expect(throws: LXCError.self) { try await host.createSystemVM(specification) }
        #expect(error?.code == .alreadyExists)
        #expect(error?.message.contains("container v-2-VM") == true)
    }
}
