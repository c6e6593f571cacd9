// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LXCHypervisor
import TestSupport
import Testing

/// The life of real containers: how they are asked to end, rebooted, started again, waited for.
@Suite(.tags(.host), .host(.root, .libvirtd, .busybox), .serialized, .limited)
struct LifecycleTests {
    /// A program that ends by one signal alone and says so.
    private static func endsBy(_ signal: Int) -> String {
        """
        #!/bin/busybox sh
        for other in 1 10 12 15 30 37; do trap '' $other; done
        trap 'echo ended by \(signal); exit 0' \(signal)
        echo ready
        while true; do read -t 60 line; done
        """
    }

    /// A created container whose init is moved to `path` and reached by a link.
    private func container(_ host: TestHost, initAt path: String?) async throws -> Container {
        let template = try await host.install()
        let specification = ContainerSpecification(name: try GuestName("signalled"), template: template.id)
        let container = try await host.lxc.createContainer(specification)
        if let path {
            let root = try await host.lxc.primary.hostPath(of: specification.volume)
            let folder = URL(filePath: root + path).deletingLastPathComponent().path
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try FileManager.default.moveItem(atPath: "\(root)/sbin/init", toPath: root + path)
            try FileManager.default.createSymbolicLink(atPath: "\(root)/sbin/init", withDestinationPath: path)
        }
        return container
    }

    @Test(arguments: [("/lib/systemd/systemd", 37, "SIGRTMIN+3"), (nil, 15, "SIGTERM")] as [(String?, Int, String)])
    func processOneIsAskedByItsOwnSignal(path: String?, number: Int, name: String) async throws {
        try await TestHost.run(Self.endsBy(number)) { host in
            let container = try await container(host, initAt: path)
            try await container.start()
            #expect(try await container.domain().containerMetadata()?.initSignal == name)
            #expect(try await container.stop(within: .seconds(60)) == .graceful)
        }
    }

    @Test func theSpecificationsSignalIsStronger() async throws {
        try await TestHost.run(Self.endsBy(10)) { host in
            let template = try await host.install()
            var specification = ContainerSpecification(name: try GuestName("asked"), template: template.id)
            specification.stopSignal = .user1
            let container = try await host.lxc.createContainer(specification)
            try await container.start()
            #expect(try await container.stop(within: .seconds(60)) == .graceful)
        }
    }

    /// The kernel drops a signal process 1 has no handler for.
    @Test func aSignalThatCameTooEarlyIsSentAgain() async throws {
        let late = """
            #!/bin/busybox sh
            /bin/busybox sleep 2
            trap 'exit 0' TERM
            while true; do read -t 1 line; done
            """
        try await TestHost.run(late) { host in
            let container = try await host.started("late")
            #expect(try await container.stop(within: .seconds(60)) == .graceful)
        }
    }

    /// Ways to ask an init that open its FIFO from outside follow what the container put in its place (CVE-2013-6456).
    @Test func aLinkInThePlaceOfInitctlLeadsNowhere() async throws {
        let outside = try ScratchDirectory()
        try outside.write("untouched", to: "canary")
        let linking = """
            #!/bin/busybox sh
            trap 'exit 0' TERM
            /bin/busybox ln -s \(outside["canary"]) /dev/initctl
            while true; do read -t 60 line; done
            """
        try await TestHost.run(linking) { host in
            let container = try await host.startedContainer(privileged: true)
            let linked = GuestCommand(["/bin/busybox", "test", "-L", "/dev/initctl"])
            #expect(try await eventually { try await container.run(linked).status == .exited(0) })
            #expect(try await container.reboot(within: .seconds(60)) == .graceful)
            #expect(try await eventually { try await container.run(linked).status == .exited(0) })
            #expect(try await container.stop(within: .seconds(60)) == .graceful)
            #expect(try outside.read("canary") == Array("untouched".utf8))
        }
    }

    @Test func aRebootIsAnEndAndAStart() async throws {
        try await TestHost.run { host in
            let container = try await host.started("rebooted")
            let first = try await container.info()
            let process = try #require(try await container.initProcess())
            #expect(RunningProcess(process) != nil)
            let events = try await host.lxc.events()
            #expect(try await container.reboot(within: .seconds(60)) == .graceful)
            let second = try await container.info()
            #expect(second.state == .running && second.id != first.id)
            #expect(try await container.initProcess() != process)
            var kinds: [GuestEvent.Kind] = []
            for try await event in events {
                kinds.append(event.kind)
                if event.kind == .started { break }
            }
            #expect(kinds == [.stopped, .started])
            #expect(try await host.leftovers().contains { $0.hasPrefix("leases/") }, "the volume stays leased")
            try await container.stop(within: .seconds(60))
            let error = await #expect(throws: LXCError.self) { try await container.reboot() }
            #expect(error?.code == .invalidState)
            #expect(try await container.initProcess() == nil)
        }
    }

    @Test func aTransientContainerIsForgottenAndItsVolumeStays() async throws {
        try await TestHost.run { host in
            let template = try await host.install()
            let specification = ContainerSpecification(name: try GuestName("passing"), template: template.id)
            let container = try await host.lxc.startTransientContainer(specification)
            #expect(try await container.info().isTransient)
            #expect(try await container.reboot(within: .seconds(60)) == .graceful)
            #expect(try await container.info().state == .running)
            #expect(try await container.stop(within: .seconds(60)) == .graceful)
            #expect(try await host.lxc.containers().isEmpty)
            #expect(try await host.leftovers() == [specification.volume.description])

            let again = try await host.lxc.startTransientContainer(specification)
            #expect(try await again.domain().idMap == host.lxc.primary.contents().volumes.first?.idMap)
            try await again.delete()
            #expect(try await host.leftovers() == [])
        }
    }

    @Test func whatDidNotStartLeavesNothing() async throws {
        try await TestHost.run { host in
            let template = try await host.install()
            var specification = ContainerSpecification(name: try GuestName("broken"), template: template.id)
            specification.initProcess.path = "/no/such/init"
            _ = await #expect(throws: LXCError.self) { try await host.lxc.startTransientContainer(specification) }
            #expect(try await eventually { try await host.leftovers() == [] })
            #expect(try await host.lxc.containers().isEmpty)
        }
    }

    /// Started means that process 1 was executed and lives a moment later; a start that failed says why.
    ///
    /// Where control groups are shown by a program that executes process 1, libvirt knows nothing of it.
    @Test(arguments: [false, true]) func aStartThatFailedSaysWhy(isPrivileged: Bool) async throws {
        try await TestHost.run { host in
            let template = try await host.install()
            let name = try GuestName(isPrivileged ? "odd-privileged" : "odd")
            var specification = ContainerSpecification(name: name, template: template.id)
            if isPrivileged { specification.privilege = .privileged }
            specification.initProcess.path = "/sbin/odd"
            let container = try await host.lxc.createContainer(specification)
            // The header of a program for another processor; offset 18 says which (elf(5)).
            var foreign = try [UInt8](Data(contentsOf: URL(filePath: "/bin/busybox")).prefix(4096))
            foreign[18] = foreign[18] == 183 ? 62 : 183
            let script = Array("#!/no/such/interpreter\n".utf8)
            let cases: [(program: [UInt8]?, mode: UInt16, words: String)] = [
                (nil, 0, "there is no program /sbin/odd"), (foreign, 0o755, "another processor"),
                (script, 0o755, "interpreter"), (script, 0o644, "mode"),
                (Array("hello\n".utf8), 0o755, "neither a program nor a script"),
                (Array("#!/bin/busybox sh\nexit 3\n".utf8), 0o755, "ended at once"),
            ]
            for (program, mode, words) in cases {
                if let program { try await container.files.write(program, to: "/sbin/odd", mode: mode) }
                let error = await #expect(throws: LXCError.self) { try await container.start() }
                #expect(error?.code == .hypervisor)
                let text = error?.description ?? ""
                #expect(text.contains(words) && text.contains("container \(name)"), "\(text)")
                #expect(!text.contains("\\u{") && !text.contains("[libvirt"), "\(text)")
                #expect(await eventually { (try? await container.info().state) == .shutOff })
            }
            try await container.files.write(Array(TestHost.echo.utf8), to: "/sbin/odd", mode: 0o755)
            try await container.start()
            #expect(try await container.stop(within: .seconds(60)) == .graceful)
            try await container.delete()
            #expect(try await host.leftovers() == [])
        }
    }

    @Test func whatIsSuspendedIsStoppedByAsking() async throws {
        try await TestHost.run { host in
            let container = try await host.startedContainer("suspended")
            try await container.suspend()
            #expect(try await container.stop(within: .seconds(60)) == .graceful)
            #expect(controlGroups(of: "suspended").isEmpty)
        }
    }

    @Test func aContainerThatIsToRunAlwaysIsStartedAgain() async throws {
        // It ends by itself at once when something is typed.
        try await TestHost.run("#!/bin/busybox sh\ntrap 'exit 0' TERM\nread x\n") { host in
            let template = try await host.install()
            var specification = ContainerSpecification(name: try GuestName("always"), template: template.id)
            specification.restart = .always
            let container = try await host.lxc.createContainer(specification)
            let service = Task { try await host.lxc.run() }
            // It is wanted from its creation on.
            try await container.wait(for: .running, within: .seconds(120))
            let first = try await container.info().id
            let console = try await container.openConsole()
            try await console.write([0x0A])
            await console.close()
            #expect(
                try await eventually {
                    let guest = try await container.info()
                    return guest.state == .running && guest.id != first
                })
            try await container.stop(within: .seconds(60))
            #expect(try await container.domain().containerMetadata()?.isHeld == true)
            service.cancel()
            try? await service.value
            // Another program that watches leaves it alone too: what was asked for is kept with the container.
            let other = try await host.reopened(hostName: "host-1")
            let events = try await other.events()
            let second = Task { try await other.run() }
            try await Task.sleep(for: .seconds(3))
            #expect(try await container.info().state == .shutOff)
            second.cancel()
            try? await second.value
            try await container.start()
            #expect(try await container.domain().containerMetadata()?.isHeld == false)
            for try await event in events {
                #expect(event.kind == .started, "nothing but this start happened")
                break
            }
        }
    }

    /// What a program knows is in libvirt and in the store, so one that was started anew goes on where the last one ended.
    @Test func aRestartedProgramFindsContainersVolumesAndLeasesAgain() async throws {
        try await TestHost.run(Self.endsBy(10)) { host in
            let template = try await host.install()
            var specification = ContainerSpecification(name: try GuestName("lasting"), template: template.id)
            specification.stopSignal = .user1
            try await host.lxc.createContainer(specification).start()

            let program = try await host.reopened(hostName: "host-1")
            let container = try await program.container(specification.name)
            #expect(try await program.statistics().keys.sorted() == [specification.name])
            let stranger = try await host.reopened(hostName: "host-2")
            let refused = await #expect(throws: LXCError.self) {
                try await stranger.primary.acquireLease(on: specification.volume, for: "host-2")
            }
            #expect(refused?.code == .inUse, "the lease is that of the host, not of the program")
            let other = try await program.createContainer(.init(name: GuestName("other"), template: template.id))
            let first = try #require(try await container.domain().idMap?.users.first)
            let second = try #require(try await other.domain().idMap?.users.first)
            #expect(first.host + first.count <= second.host || second.host + second.count <= first.host)
            #expect(try await container.stop(within: .seconds(60)) == .graceful)
            let lease = try await stranger.primary.acquireLease(on: specification.volume, for: "host-2")
            try await stranger.primary.releaseLease(lease)
            for container in [container, other] { try await container.delete() }
            #expect(try await host.leftovers() == [])
        }
    }

    /// The ids of what runs are taken, also where the book says nothing of them.
    @Test func theIDsOfAnotherDaemonsContainerAreNotGiven() async throws {
        try await TestHost.run { first in
            try await TestHost.run { second in
                let running = try await first.startedContainer("first")
                var policy = LXCHypervisor.Policy()
                policy.idMaps.directory = "\(second.directory)/ids"
                let lxc = LXCHypervisor(
                    driver: second.lxc.drivers.containers, primary: second.lxc.primary, templates: second.lxc.templates,
                    hostName: second.lxc.hostName, policy: policy, logger: logger)
                let template = try await second.install()
                var specification = ContainerSpecification(name: try GuestName("second"), template: template.id)
                let container = try await lxc.createContainer(specification)
                let map = try #require(try await running.domain().idMap)
                let other = try #require(try await container.domain().idMap?.users.first)
                #expect(
                    map.users.allSatisfy { $0.host + $0.count <= other.host || other.host + other.count <= $0.host })
                specification.name = try GuestName("third")
                specification.volume = .random()
                specification.uuid = UUID()
                specification.privilege = .unprivileged(map)
                let refused = await #expect(throws: LXCError.self) { try await lxc.createContainer(specification) }
                #expect(refused?.code == .inUse)
            }
        }
    }

    @Test func waitingIsToldOfTheState() async throws {
        try await TestHost.run { host in
            let container = try await host.started("awaited")
            async let paused: Void = container.wait(for: .paused, within: .seconds(60))
            try await container.suspend()
            try await paused
            try await container.resume()
            async let ended: Void = container.wait(for: .shutOff, within: .seconds(60))
            try await container.stop(within: .seconds(60))
            try await ended
            let error = await #expect(throws: LXCError.self) {
                try await container.wait(for: .running, within: .milliseconds(200))
            }
            #expect(error?.code == .timedOut)
        }
    }

    @Test func autostartIsLibvirts() async throws {
        try await TestHost.run { host in
            let template = try await host.install()
            var specification = ContainerSpecification(name: try GuestName("booted"), template: template.id)
            specification.isAutostarted = true
            let container = try await host.lxc.createContainer(specification)
            #expect(try await container.isAutostarted())
            try await container.setAutostart(false)
            #expect(try await !container.isAutostarted())
        }
    }
}
