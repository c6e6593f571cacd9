// SPDX-License-Identifier: Apache-2.0

import CloudStack
import Foundation
import LXCCore
import LXCHypervisor
import TestSupport
import Testing

/// Virtual machines beside the containers, for real: image, secondary storage, primary store, overlay, libvirt, bridge,
/// agent, console, power button. They are emulated, because not every host that has /dev/kvm can run a guest by it.
@Suite(.tags(.host), .host(.root, .libvirtd, .busybox, .qemu, .guestKernel), .serialized, .limited)
struct SystemVMTests {
    private static let key = TemplateKey(account: 1, id: 3)

    /// A host with a system template installed.
    private func withHost(
        _ body: (TestHost, GuestDisk, StoredImage) async throws -> Void
    ) async throws {
        try await TestHost.run { host in
            let disk = try GuestDisk(in: host.directory)
            let registration = TemplateRegistration(key: Self.key, name: "systemvm", source: disk.image)
            let template = try await host.lxc.registerTemplate(registration)
            #expect(template.format == .qcow2 && template.virtualSize == .mebibytes(64))
            try await body(host, disk, await host.lxc.installSystemTemplate(Self.key))
        }
    }

    private func specification(_ name: String, _ image: StoredImage, on bridge: TestBridge) throws
        -> SystemVMSpecification
    {
        var specification = SystemVMSpecification(name: try GuestName(name), template: image.id)
        specification.memory = .mebibytes(192)
        specification.acceleration = .emulation
        specification.nics = [NIC(trafficType: .control, bridge: bridge.name)]
        specification.bootArguments =
            "template=domP type=consoleproxy eth0ip=\(bridge.guestAddress) eth0mask=255.255.255.0"
        return specification
    }

    @Test func aMachineRunsFromItsImageAndLeavesIt() async throws {
        try await TestBridge.run { bridge in
            try await withHost { host, disk, image in
                let specification = try specification("v-2-VM", image, on: bridge)
                let base = try Data(contentsOf: URL(filePath: "\(host.directory)/primary/\(image.id)"))
                let machine = try await host.lxc.startSystemVM(specification)
                // Its agent has taken the boot arguments by now.
                let arguments = try #require(specification.bootArguments)
                #expect(try await told(machine, "arguments: \(arguments), ").contains("boots: 1, "))
                try HostTests.run("/bin/busybox", "ping", "-c", "3", "-W", "20", bridge.guestAddress)

                #expect(try await machine.acceleration() == .emulation)
                #expect(try await machine.info().state == .running)
                #expect(bridge.ports.count == 1)
                let statistics = try await machine.statistics()
                #expect(statistics.cpuTime > .zero && statistics.virtualCPUs == 1)
                #expect(try await host.lxc.systemVMs().map(\.name) == [specification.name])
                let report = await host.lxc.powerReport()
                #expect(report.guests.map(\.power) == [.on])
                try await checkRefusals(host, specification, image)
                try await checkPlugging(machine, bridge)

                // The disk keeps what was written to it, and the image has nothing of it.
                #expect(try await machine.reboot(within: .seconds(240)) == .graceful)
                #expect(try await told(machine, "boots: 2, ").contains("template: \(disk.marker), "))
                #expect(try await machine.stop(within: .zero) == .forced)
                #expect(bridge.ports.isEmpty)
                try await machine.delete()
                #expect(try await host.lxc.systemVMs().isEmpty)
                let contents = try await host.lxc.primary.contents()
                #expect(contents.disks.isEmpty && contents.images.map(\.id) == [image.id])
                #expect(try await host.leftovers() == [])
                #expect(try Data(contentsOf: URL(filePath: "\(host.directory)/primary/\(image.id)")) == base)
                try await machine.delete()
                try await host.lxc.primary.deleteTemplate(image.id)
            }
        }
    }

    /// What must not be possible while the machine runs.
    private func checkRefusals(_ host: TestHost, _ specification: SystemVMSpecification, _ image: StoredImage)
        async throws
    {
        #expect(await codeThrown { try await host.lxc.primary.deleteTemplate(image.id) } == .inUse)
        #expect(await codeThrown { try await host.lxc.primary.deleteVolume(specification.volume) } == .inUse)
        #expect(await codeThrown { try await host.lxc.createSystemVM(specification) } == .alreadyExists)
        #expect(await codeThrown { try await host.lxc.startSystemVM(specification) } == .invalidState)
        let lease = await codeThrown {
            try await host.lxc.primary.acquireLease(on: specification.volume, for: "host-2", lasting: nil)
        }
        #expect(lease == .inUse)
        #expect(try await host.lxc.primary.collectGarbage() == 0)
        // Secrets of the boot arguments are nobody's who asks libvirt.
        let machine = try await host.lxc.systemVM(specification.name)
        #expect(try await !machine.domain().xml().contains("consoleproxy"))
    }

    private func checkPlugging(_ machine: SystemVM, _ bridge: TestBridge) async throws {
        let interface = try await machine.plugNIC(NIC(deviceID: 1, bridge: bridge.name))
        #expect(interface.model == "virtio" && bridge.ports.count == 2)
        #expect(try await machine.domain().interfaces.count == 2)
        try await machine.unplugNIC(1)
        // The guest lets go of it when it has noticed.
        #expect(await eventually(within: .seconds(120)) { bridge.ports.count == 1 })
    }

    @Test func aKernelOfItsOwnHasTheBootArguments() async throws {
        try await TestBridge.run { bridge in
            try await withHost { host, disk, image in
                var specification = try specification("r-4-VM", image, on: bridge)
                specification.diskSize = .mebibytes(96)
                specification.kernel = .init(
                    path: disk.kernel, initialRAMDisk: disk.initialRAMDisk, arguments: "console=ttyS0 quiet panic=-1")
                let machine = try await host.lxc.createSystemVM(specification)
                #expect(try await machine.info().state == .shutOff)
                try await machine.start()
                let arguments = "console=ttyS0 quiet panic=-1 \(specification.bootArguments ?? "-")"
                let told = try await told(machine, "arguments: \(arguments), ")
                #expect(told.contains("template: \(disk.marker), "))
                try HostTests.run("/bin/busybox", "ping", "-c", "3", "-W", "20", bridge.guestAddress)
                #expect(try await machine.stop(within: .seconds(240)) == .graceful)
                #expect(try await machine.info().state == .shutOff)
                // A program without this one's memory finishes what there is.
                let other = try await host.reopened(hostName: "host-1")
                try await other.systemVM(specification.name).delete()
                #expect(try await host.leftovers() == [])
            }
        }
    }

    /// Asks the guest on its console until its answer has a text in it, which the suite's time limit ends otherwise; all
    /// that came.
    private func told(_ machine: SystemVM, _ text: String) async throws -> String {
        let console = try await machine.openConsole()
        // While the guest starts nobody reads what is typed.
        let asking = Task {
            while !Task.isCancelled {
                try await console.write(Array("tell\n".utf8))
                try await Task.sleep(for: .seconds(2))
            }
        }
        var seen = ""
        for try await bytes in console.output {
            seen += String(decoding: bytes, as: UTF8.self)
            if seen.contains(text) { break }
        }
        asking.cancel()
        await console.close()
        return seen
    }
}
