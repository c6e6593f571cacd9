// SPDX-License-Identifier: Apache-2.0

import CloudStack
import LXCCore
import LXCHypervisor
import TestSupport
import Testing

/// CloudStack's `agent.properties`.
@Suite(.limited) struct AgentPropertiesTests {
    private func read(_ text: String) throws -> AgentProperties {
        try AgentProperties(JavaProperties(parsing: Array(text.utf8)))
    }

    @Test func theDefaultsAreCloudStacks() throws {
        let properties = try read("hypervisor.type=lxc\n")
        #expect(properties == AgentProperties())
        #expect(properties.reservedMemory == .mebibytes(1024))
        #expect(properties.stopTimeout == .seconds(120))
        #expect(properties.localPools == [.init("/var/lib/libvirt/images")])
        #expect(properties.controlBridge == "cloud0")
        let configuration = try LXCHypervisor.Configuration(agentProperties: properties, secondary: "/secondary")
        #expect(configuration.policy.defaultPrivilege == .privileged && !configuration.policy.keepsDefinitions)
        #expect(configuration.policy.stopTimeout == .seconds(120))
        #expect(configuration.vifs.standard.name == "bridge")
        #expect(configuration.policy.heartbeat == nil, "without a private device there is no address")
    }

    @Test func theSpecificationsDirectNetworking() throws {
        let properties = try read(
            """
            hypervisor.type=LXC
            libvirt.vif.driver=com.cloud.hypervisor.kvm.resource.DirectVifDriver
            network.direct.source.mode=private
            network.direct.device=eth0
            """)
        #expect(properties.vifDriver == .direct)
        #expect(properties.directMode == .private)
        #expect(properties.directDevice == "eth0")
        let configuration = try LXCHypervisor.Configuration(agentProperties: properties, secondary: "/secondary")
        #expect(configuration.vifs.standard is DirectVifDriver)
    }

    private func devices(_ text: String) throws -> [TrafficType: String]? {
        (try LXCHypervisor.VifDrivers(agentProperties: read(text)).standard as? BridgeVifDriver)?.devices
    }

    @Test func bridgesHaveCloudStacksDefaults() throws {
        #expect(
            try devices("") == [
                .public: "cloudbr0", .guest: "cloudbr1", .management: "cloudbr1", .storage: "cloudbr1",
                .control: "cloud0",
            ])
    }

    @Test func guestsAreOnThePrivateDeviceUnlessTheyHaveTheirOwn() throws {
        let text = "public.network.device=pub\nprivate.network.device=priv\nprivate.bridge.name=ctl\n"
        let shared: [TrafficType: String] = [
            .public: "pub", .guest: "priv", .management: "priv", .storage: "priv", .control: "ctl",
        ]
        #expect(try devices(text) == shared)
        #expect(
            try devices(text + "guest.network.device=gst\n") == shared.merging([.guest: "gst"]) { _, own in own })
    }

    @Test func driversAreChosenByCloudStacksNames() throws {
        #expect(
            try LXCHypervisor.VifDrivers(agentProperties: read("libvirt.vif.driver=\n")).standard is BridgeVifDriver)
        let drivers = try LXCHypervisor.VifDrivers(
            agentProperties: read(
                """
                libvirt.vif.driver=com.cloud.hypervisor.kvm.resource.BridgeVifDriver
                libvirt.vif.driver.Guest=com.cloud.hypervisor.kvm.resource.DirectVifDriver
                libvirt.vif.driver.Public=DirectVifDriver
                network.direct.device=eth0
                network.direct.source.mode=private
                """))
        #expect(drivers.standard is BridgeVifDriver)
        #expect(Set(drivers.byTraffic.keys) == [.guest, .public])
        #expect(drivers.byTraffic.values.allSatisfy { $0 is DirectVifDriver })
    }

    @Test func aDirectDriverThatWasAskedForInCodeNeedsItsDevice() {
        var properties = AgentProperties()
        properties.vifDriver = .direct
        properties.directMode = .bridge
        let error = expect(.invalidArgument) { try LXCHypervisor.VifDrivers(agentProperties: properties) }
        #expect(error?.message.contains("network.direct.device") == true)
    }

    @Test func everyKeyIsRead() throws {
        let properties = try read(
            """
            hypervisor.uri=lxc+tls://host/system
            local.storage.path=/srv/primary/, nfs://filer/export
            local.storage.uuid=0f8fad5b-d9cb-469f-a165-70867728950e, 2a1dfba6-2ad4-4d9c-8b5a-0b41c1a2f3e4
            libvirt.vif.driver.Guest=DirectVifDriver
            network.direct.source.mode=vepa
            network.direct.device=eth1
            public.network.device=cloudbr0
            private.network.device=lo
            guest.network.device=cloudbr2
            private.bridge.name=cloud9
            network.bridge.type=native
            host.reserved.mem.mb=2048
            host.overcommit.mem.mb=512
            stop.script.timeout=60
            guid=42
            agent.hooks.basedir=/etc/x
            host.reserved.mem.mg=1
            """)
        #expect(properties.hypervisorURI == "lxc+tls://host/system")
        #expect(properties.localPools.map(\.location) == ["/srv/primary", "nfs://filer/export"])
        #expect(
            properties.localPools.compactMap(\.id?.description)
                == ["0f8fad5b-d9cb-469f-a165-70867728950e", "2a1dfba6-2ad4-4d9c-8b5a-0b41c1a2f3e4"])
        #expect(properties.vifDrivers == [.guest: .direct])
        #expect(properties.publicDevice == "cloudbr0" && properties.guestDevice == "cloudbr2")
        #expect(properties.controlBridge == "cloud9")
        #expect(properties.reservedMemory == .mebibytes(2048) && properties.overcommittedMemory == .mebibytes(512))
        #expect(properties.unused == ["guid": "42", "agent.hooks.basedir": "/etc/x"])
        #expect(properties.unknown == ["host.reserved.mem.mg": "1"], "a misspelt key is reported")
        let configuration = try LXCHypervisor.Configuration(agentProperties: properties, secondary: "/secondary")
        #expect(configuration.policy.heartbeat?.address == "127.0.0.1", "the private device's address")
        #expect(configuration.policy.heartbeat?.interval == .seconds(60))
        #expect(configuration.vifs.byTraffic[.guest]?.name == "direct")
        #expect(configuration.pools == properties.localPools)
    }

    @Test(arguments: [
        ("hypervisor.type=kvm", "lxc"), ("hypervisor.uri=qemu:///system", "lxc:///"),
        ("local.storage.path=relative", "absolute"), ("local.storage.path=/a,", "absolute"),
        ("local.storage.uuid=nothing", "nothing"),
        ("local.storage.uuid=0f8fad5b-d9cb-469f-a165-70867728950e,0f8fad5b-d9cb-469f-a165-70867728950f", "1 of them"),
        ("libvirt.vif.driver=NoVifDriver", "BridgeVifDriver"),
        ("libvirt.vif.driver=OvsVifDriver", "not supported"),
        ("libvirt.vif.driver.Guest=com.example.BridgeVifDriver", "BridgeVifDriver"),
        ("libvirt.vif.driver.Nothing=BridgeVifDriver", "Guest"),
        ("libvirt.vif.driver=DirectVifDriver", "network.direct.device"),
        ("network.direct.source.mode=secret", "vepa"), ("network.direct.device=a/b", "device"),
        ("guest.network.device=../eth0", "device"), ("private.network.device=a b", "device"),
        ("network.direct.source.mode=Private", "private"),
        ("private.bridge.name=averyveryverylongname", "15"), ("network.bridge.type=openvswitch", "native"),
        ("host.reserved.mem.mb=-1", "whole number"), ("host.reserved.mem.mb=lots", "whole number"),
        ("stop.script.timeout=99999999999", "whole number"),
    ])
    func badValuesAreRefusedWithKeyValueAndReason(line: String, reason: String) throws {
        let error = #expect(throws: LXCError.self) { try read(line) }
        #expect(error?.code == .invalidArgument || error?.code == .unsupported)
        let (key, value) = (line.prefix { $0 != "=" }, line.drop { $0 != "=" }.dropFirst())
        #expect(error?.message.contains(key) == true, "\(error?.message ?? "")")
        #expect(error?.message.contains(value) == true, "\(error?.message ?? "")")
        #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
    }

    @Test func whatCouldForgeALogLineIsEscaped() throws {
        let error = #expect(throws: LXCError.self) { try read("hypervisor.type=k\\u000avm") }
        #expect(error?.message.contains("\n") == false)
    }

    @Test(
        arguments: [
            (2, 500, nil, nil, 1000, nil, nil), (1, 1, nil, nil, 2, nil, nil),
            (4, 1000, nil, 8000, 5000, nil, nil), (1, 1000, nil, 30_000, 334, nil, nil),
            (1, 1, nil, 1_000_000, 2, nil, nil),
            (1, 1000, 0.4, nil, 1000, 10_000, 4000), (1, 1000, 0.05, nil, 1000, 20_000, 1000),
            (1, 1000, 0.0001, nil, 1000, 1_000_000, 1000), (2, 1000, 2.0, nil, 2000, 10_000, 20_000),
        ] as [(Int, Int, Double?, Int?, UInt64, Int?, Int?)])
    func anOfferingsProcessorsAreCloudStacks(
        count: Int, megahertz: Int, limit: Double?, capacity: Int?, shares: UInt64, period: Int?, quota: Int?
    ) throws {
        var specification = LXCHypervisor.ContainerSpecification(name: try GuestName("web1"), template: .random())
        try specification.setOffering(
            processors: count, megahertz: megahertz, limit: limit, hostCapacity: capacity)
        #expect(specification.cpus == count)
        var limits = GuestLimits.standard
        limits.cpuShares = shares
        limits.cpuPeriod = period.map { .microseconds($0) }
        limits.cpuQuota = quota.map { .microseconds($0) }
        #expect(specification.limits == limits)
    }

    @Test func offeringsOfNothingAreRefused() throws {
        var specification = LXCHypervisor.ContainerSpecification(name: try GuestName("web1"), template: .random())
        let offerings: [(Int, Int, Double)] = [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, .nan), (.max, .max, 1)]
        for (count, megahertz, limit) in offerings {
            expect(.invalidArgument) {
                try specification.setOffering(processors: count, megahertz: megahertz, limit: limit)
            }
        }
    }
}
