// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LXCHypervisor
import LXCTesting
import LibvirtXML
import Logging
import TestSupport
import Testing

/// NICs of containers, over in-memory drivers.
@Suite(.limited)
struct NetworkTests {
    private let policy: TestPolicy
    private let driver = InMemoryHypervisorDriver()
    private let vif = InMemoryVifDriver()
    private let primary = InMemoryPrimaryStore()

    init() throws { policy = try TestPolicy() }

    private func host(
        _ moment: InterruptedDriver.Moment = .beforeDefine,
        _ interruption: @escaping @Sendable (InMemoryHypervisorDriver) async throws -> Void = { _ in }
    ) -> LXCHypervisor {
        LXCHypervisor(
            driver: InterruptedDriver(base: driver, moment: moment, interruption: interruption), primary: primary,
            templates: InMemoryTemplateStore(), vifs: VifDrivers(standard: vif), hostName: "host-1",
            policy: policy.host, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func container(_ name: String, _ nics: [NIC] = [], on host: LXCHypervisor? = nil) async throws -> Container
    {
        let template = try await primary.installTemplate(.random(), from: MemoryTree.smallRoot())
        var specification = ContainerSpecification(name: try GuestName(name), template: template.id)
        specification.nics = nics
        return try await (host ?? self.host()).createContainer(specification)
    }

    private var closed: NICSecurity { NICSecurity(rules: []) }

    @Test func aNICWithoutAddressGetsOneOfItsOwn() async throws {
        let container = try await container("web1", [NIC(deviceID: 1), NIC(deviceID: 0)])
        let interfaces = try await container.domain().interfaces
        #expect(interfaces.map(\.guestDevice) == ["eth0", "eth1"])
        let addresses = interfaces.compactMap(\.mac)
        #expect(Set(addresses).count == 2 && addresses.allSatisfy { $0.description.hasPrefix("02:") })
    }

    @Test func anAddressThatIsTakenIsNotGivenAgain() async throws {
        let first = try await container("web1", [NIC()])
        let own = try #require(try await first.domain().interfaces[0].mac)
        // A container with the first one's UUID would get the first one's address.
        let uuid = try await first.info().uuid.uuidString.lowercased()
        #expect(MACAddress.stable(from: "\(uuid):0") == own)
        try await first.unplugNIC(0)
        let second = try await container("web2", [NIC(deviceID: 1, mac: own)])
        let plugged = try #require(try await first.plugNIC(NIC()).mac)
        #expect(plugged != own && plugged == .stable(from: "\(uuid):0:1"))
        try await second.delete()
    }

    @Test func anotherContainersAddressIsRefused() async throws {
        let mac = MACAddress.random()
        let first = try await container("web1", [NIC(mac: mac)])
        let second = try await container("web2")
        #expect(await codeThrown { try await second.plugNIC(NIC(mac: mac)) } == .alreadyExists)
        #expect(await codeThrown { try await container("web3", [NIC(mac: mac)]) } == .alreadyExists)
        let twice = [NIC(deviceID: 0, mac: .stable(from: "1")), NIC(deviceID: 1, mac: .stable(from: "1"))]
        #expect(await codeThrown { try await container("web4", twice) } == .alreadyExists)
        #expect(await vif.plugged.map(\.guest) == [first.name])
    }

    /// A number or an address that is there already is another NIC's: it is not touched, nor said to be what it is not.
    @Test func whatIsPluggedIsComparedWithWhatIsThere() async throws {
        let vif = InMemoryVifDriver(bridges: ["br0", "br1"])
        let host = LXCHypervisor(
            driver: driver, primary: primary, templates: InMemoryTemplateStore(), vifs: VifDrivers(standard: vif),
            hostName: "host-1", logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let container = try await container("web1", [NIC(mac: .stable(from: "1"), security: closed)], on: host)
        try await container.start()
        let before = try await container.domain().interfaces
        let same = NIC(bridge: "br0", security: closed)
        #expect(try await container.plugNIC(same) == before[0])
        let others: [(inout NIC) -> Void] = [
            { $0.bridge = "br1" }, { $0.mac = .stable(from: "2") }, { $0.mtu = 1400 }, { $0.isIsolated = true },
            { $0.megabitsPerSecond = 1 }, { $0.security = nil }, { $0.security = NICSecurity() },
            { ($0.deviceID, $0.mac) = (5, .stable(from: "1")) },
        ]
        for change in others {
            var other = same
            change(&other)
            let code = await codeThrown { [other] in try await container.plugNIC(other) }
            #expect(code == .alreadyExists, "\(other)")
        }
        #expect(try await container.domain().interfaces == before)
        #expect(await vif.plugged.map(\.interface) == before)
        #expect(await driver.networkFilters.count == 1)
    }

    @Test func pluggingAndUnpluggingAreIdempotent() async throws {
        let container = try await container("web1")
        try await container.start()
        let interface = try await container.plugNIC(NIC(deviceID: 3))
        #expect(try await container.plugNIC(NIC(deviceID: 3)) == interface)
        #expect(try await container.domain().interfaces == [interface])
        let networks = try await container.domain().containerMetadata()?.networks
        #expect(networks == [.init(device: 3, traffic: "Guest")])
        #expect(await codeThrown { try await container.plugNIC(NIC(deviceID: 3, mac: .random())) } == .alreadyExists)
        #expect(await vif.plugged.count == 1)
        for _ in 0..<2 { try await container.unplugNIC(3) }
        #expect(try await container.domain().interfaces.isEmpty)
        #expect(try await container.domain().containerMetadata()?.networks == [])
        #expect(await vif.plugged.isEmpty)
    }

    @Test func networksAreMadeAgainForAStartAndGivenBackAtTheEnd() async throws {
        let container = try await container("web1", [NIC(trafficType: .storage)])
        try await container.start()
        #expect(await vif.plugged.map(\.nic.trafficType) == [.storage])
        try await container.stop()
        #expect(await vif.plugged.isEmpty)
        // As after the host's reboot.
        try await container.start()
        #expect(await vif.plugged.map(\.nic.trafficType) == [.storage])
        try await container.delete()
        #expect(await vif.plugged.isEmpty)
    }

    @Test func aNetworkThatCannotBeMadeKeepsTheContainerFromStarting() async throws {
        let container = try await container("web1", [NIC()])
        await vif.failNext(with: LXCError(.notFound, "no bridge"))
        #expect(await codeThrown { try await container.start() } == .notFound)
        #expect(try await container.info().state == .shutOff)
        try await container.start()
    }

    @Test(arguments: [InterruptedDriver.Moment.beforeAttach, .afterAttach, .beforeMetadata])
    func aPlugThatDoesNotSucceedLeavesNothing(at moment: InterruptedDriver.Moment) async throws {
        let failing = host(moment) { _ in throw LXCError(.unavailable, "the connection was lost") }
        let container = try await container("web1", on: failing)
        try await container.start()
        #expect(await codeThrown { try await container.plugNIC(NIC(security: closed)) } == .unavailable)
        #expect(try await container.domain().interfaces.isEmpty)
        #expect(await vif.plugged.isEmpty)
        #expect(await driver.networkFilters.isEmpty)
    }

    @Test func filtersComeAndGoWithTheirNICs() async throws {
        let container = try await container("web1", [NIC(security: closed)])
        let filter = try #require(await driver.networkFilters.values.first)
        #expect(try await container.domain().interfaces[0].filter?.filter == filter.name)
        try await container.start()
        try await container.setSecurity(NICSecurity(), ofNIC: 0)
        let changed = try #require(await driver.networkFilters[filter.name])
        #expect(changed.rules.count < filter.rules.count && changed.uuid == filter.uuid)
        try await container.plugNIC(NIC(deviceID: 1, security: closed))
        #expect(await driver.networkFilters.count == 2)
        try await container.unplugNIC(1)
        #expect(await driver.networkFilters.count == 1)
        try await container.delete()
        #expect(await driver.networkFilters.isEmpty)
    }

    @Test func securityIsNotAddedToWhatWasPluggedWithout() async throws {
        let container = try await container("web1", [NIC(filter: "clean-traffic")])
        #expect(await codeThrown { try await container.setSecurity(closed, ofNIC: 0) } == .invalidState)
        #expect(await codeThrown { try await container.setSecurity(closed, ofNIC: 1) } == .notFound)
        #expect(await driver.networkFilters.isEmpty)
    }

    /// What a NIC may do is enforced again at each start, from what is kept with the container.
    @Test func securityIsEnforcedAtEveryStart() async throws {
        let container = try await container("web1", [NIC(security: closed)])
        let changed = NICSecurity(
            addresses: [try IPNetwork(parsing: "2001:db8::1")],
            rules: try SecurityRule.rules(parsing: "I:tcp;22;22;::/0"))
        try await container.setSecurity(changed, ofNIC: 0)
        let filter = try #require(await driver.networkFilters.values.first)
        // As after the host's reboot, on a hypervisor that has lost its filters.
        try await driver.undefineNetworkFilter(filter.name)
        try await container.start()
        #expect(await vif.plugged.map(\.nic.security) == [changed])
        #expect(await driver.networkFilters[filter.name] == filter)
        try await container.reboot(within: .zero)
        #expect(await vif.plugged.map(\.nic.security) == [changed])
    }

    @Test func securityThatCannotBeEnforcedKeepsAContainerFromStarting() async throws {
        let container = try await container("web1", [NIC(security: closed)])
        await vif.failNext(with: LXCError(.unsupported, "the kernel does not filter"))
        #expect(await codeThrown { try await container.start() } == .unsupported)
        #expect(try await container.info().state == .shutOff)
        let before = await driver.networkFilters
        await vif.failNext(with: LXCError(.unsupported, "the kernel does not filter"))
        #expect(await codeThrown { try await container.setSecurity(NICSecurity(), ofNIC: 0) } == .unsupported)
        #expect(await driver.networkFilters == before)
        #expect(try await container.domain().containerMetadata()?.networks.first?.security?.rules == [])
    }

    /// The suite's limit of time ends what never comes.
    private func waitUntil(_ condition: () async -> Bool) async throws {
        while await !condition() { try await Task.sleep(for: .milliseconds(5)) }
    }

    /// libvirt starts guests by itself, and asks nobody.
    @Test func whatTheHypervisorStartsByItselfIsGuardedByTheService() async throws {
        let host = host()
        let early = try await container("web1", [NIC(security: closed)], on: host)
        try await driver.start(early.name)
        let service = Task { try await host.run() }
        defer { service.cancel() }
        try await waitUntil { await vif.secured[early.name] == [0: closed] }
        let late = try await container("web2", [NIC(), NIC(deviceID: 1, security: closed)], on: host)
        try await driver.start(late.name)
        try await waitUntil { await vif.secured[late.name] == [1: closed] }
    }

    /// Filters have the guest's name: who loses against another program that creates the same leaves it the filter.
    @Test func whoLosesACreationLeavesTheWinnersFilter() async throws {
        let losing = host(.beforeDefine) { driver in
            var domain = Domain(type: .lxc, name: "web1", os: .container(initPath: "/sbin/init"))
            domain.memory = .mebibytes(64)
            try await driver.define(domain)
        }
        #expect(await codeThrown { try await container("web1", [NIC(security: closed)], on: losing) } == .alreadyExists)
        #expect(await driver.networkFilters.count == 1)
        #expect(await vif.plugged.count == 1)
    }

    @Test func aFailedCreationTakesFiltersAndNICsBack() async throws {
        let failing = host(.beforeDefine) { _ in throw LXCError(.hypervisor, "no") }
        await #expect(throws: LXCError.self) { try await container("web1", [NIC(security: closed)], on: failing) }
        #expect(await vif.plugged.isEmpty)
        #expect(await driver.networkFilters.isEmpty)
    }
}
