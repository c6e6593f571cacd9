// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LibvirtXML
public import VifDriver

/// The rules of `VifDriver`, for authors of a driver.
///
/// ```swift
/// let conformance = VifDriverConformance(nic: NIC(bridge: "br0")) { check in try await check(MyVifDriver()) }
///
/// @Test(arguments: conformance.checks)
/// func conforms(_ check: ConformanceCheck) async throws { try await check.run() }
/// ```
public struct VifDriverConformance: Sendable {
    /// Makes a driver, passes it to its argument, and closes it.
    public typealias WithDriver =
        @Sendable (_ check: @Sendable (any VifDriver) async throws -> Void) async throws -> Void

    private let nic: NIC
    private let withDriver: WithDriver

    /// Creates the suite from a NIC that the driver can plug, and what makes a driver, once for each rule.
    public init(nic: NIC, _ withDriver: @escaping WithDriver) {
        self.nic = nic
        self.withDriver = withDriver
    }

    /// The rules.
    public var checks: [ConformanceCheck] { plugChecks + [unplugCheck, faithfulCheck, concurrencyCheck] }

    /// Runs all checks to the end.
    ///
    /// - Throws: the first ``ConformanceFailure``.
    public func run() async throws { try await checks.runAll() }

    private func check(
        _ rule: String, _ body: @escaping @Sendable (any VifDriver, NIC, GuestName) async throws -> Void
    ) -> ConformanceCheck {
        ConformanceCheck(rule) { [withDriver, nic] in
            let guest = try GuestName("conformance-1")
            try await withDriver { driver in try await body(driver, nic, guest) }
        }
    }

    private var plugChecks: [ConformanceCheck] {
        [
            check("the interface is the NIC's, and libvirt would take it") { driver, nic, guest in
                var nic = nic
                nic.deviceID = 3
                nic.mac = try MACAddress("02:00:4c:3b:00:01")
                let interface = try await driver.plug(nic, of: guest)
                try requireEqual(interface.mac, nic.mac, "the hardware address")
                try requireEqual(interface.guestDevice, "eth3", "the name in the container")
                var domain = Domain(type: .lxc, name: guest.description, os: .container(initPath: "/sbin/init"))
                domain.memory = .mebibytes(64)
                domain.interfaces = [interface]
                _ = try domain.xml()
                try await driver.unplug(interface)
            },
            check("plugging the same NIC again gives the same interface") { driver, nic, guest in
                let first = try await driver.plug(nic, of: guest)
                try requireEqual(await driver.plug(nic, of: guest), first, "the interface")
                try await driver.unplug(first)
            },
            check("where a NIC goes is told before it is plugged") { driver, nic, guest in
                let told = try await driver.connection(of: nic)
                let interface = try await driver.plug(nic, of: guest)
                try requireEqual(interface.kind, told, "the network")
                try requireEqual(await driver.connection(of: nic), told, "the network once it is plugged")
                try await driver.unplug(interface)
            },
            check("a device id beyond its range is invalidArgument") { driver, nic, guest in
                for number in [-1, 65_536, Int.min, Int.max] {
                    var wrong = nic
                    wrong.deviceID = number
                    try await requireError(.invalidArgument, by: "device id \(number)") { [wrong] in
                        try await driver.plug(wrong, of: guest)
                    }
                }
            },
        ]
    }

    private var unplugCheck: ConformanceCheck {
        check("unplugging twice, or what another driver plugged, is no error") { driver, nic, guest in
            let interface = try await driver.plug(nic, of: guest)
            try await driver.unplug(interface)
            try await driver.unplug(interface)
            var foreign = Interface(.ethernet)
            foreign.targetDevice = "foreign0"
            try await driver.unplug(foreign)
            try await driver.unplug(Interface(.network("no-such-network")))
            try requireEqual(await driver.plug(nic, of: guest).mac, nic.mac, "the address after plugging it again")
        }
    }

    private var faithfulCheck: ConformanceCheck {
        check("what a NIC asks for is in the interface or refused, never left out") { driver, nic, guest in
            let security = nic.networkFilterName(of: guest)
            let plain = try await driver.plug(nic, of: guest)
            try await driver.unplug(plain)
            let wishes: [(String, @Sendable (inout NIC) -> Void, @Sendable (Interface) -> Bool)] = [
                ("the MTU", { $0.mtu = 1_400 }, { $0.mtu == 1_400 }),
                ("the rate", { $0.megabitsPerSecond = 10 }, { $0.bandwidth?.outbound != nil }),
                ("the filter", { $0.filter = "clean-traffic" }, { $0.filter?.filter == "clean-traffic" }),
                ("the model", { $0.model = "virtio" }, { $0.model == "virtio" }),
                ("the isolation", { $0.isIsolated = true }, { $0.isPortIsolated }),
                ("the security", { $0.security = NICSecurity(rules: []) }, { $0.filter?.filter == security }),
                ("the network", { $0.broadcast = .vlan(4094) }, { $0.kind != plain.kind }),
            ]
            for (what, wish, isGranted) in wishes {
                var wanting = nic
                wanting.mac = try MACAddress("02:00:4c:3b:00:01")
                wish(&wanting)
                do {
                    let interface = try await driver.plug(wanting, of: guest)
                    try require(isGranted(interface), "\(what) is left out")
                    try await driver.unplug(interface)
                } catch let error as LXCError {
                    let isRefusal = error.code == .unsupported || error.code == .invalidArgument
                    try require(isRefusal, "\(what) is refused with \(error.code) (\(error))")
                }
            }
        }
    }

    private var concurrencyCheck: ConformanceCheck {
        check("host devices have names of their own, which libvirt keeps") { driver, nic, _ in
            let interfaces = try await withThrowingTaskGroup(of: Interface.self) { group in
                for number in 0..<16 {
                    group.addTask {
                        var nic = nic
                        nic.deviceID = number % 4
                        return try await driver.plug(nic, of: GuestName("conformance-\(number / 4)"))
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let names = interfaces.compactMap(\.targetDevice)
            try requireEqual(Set(names).count, names.count, "the number of different names")
            for name in names {
                try require((1...15).contains(name.utf8.count), "the name \(name) has not 1 to 15 bytes")
                // libvirt considers these its own, drops them and makes others.
                let prefixes = ["vnet", "vif", "macvtap", "macvlan"]
                try require(!prefixes.contains(where: name.hasPrefix), "the name \(name) is one libvirt replaces")
            }
            for interface in interfaces { try await driver.unplug(interface) }
        }
    }
}
