// SPDX-License-Identifier: Apache-2.0

public import LXCCore
public import LibvirtXML
public import VifDriver

/// A VIF driver that touches no network, for unit tests of programs that use one.
public actor InMemoryVifDriver: NICSecuring {
    /// A NIC that is plugged in.
    public struct Plugged: Hashable, Sendable {
        /// The guest.
        public var guest: GuestName
        /// The requested NIC.
        public var nic: NIC
        /// The interface returned.
        public var interface: Interface
    }

    /// `in-memory`.
    public nonisolated let name = "in-memory"

    /// The connected NICs, in the order in which they were plugged.
    public private(set) var plugged: [Plugged] = []

    private let bridges: [String]
    /// The security enforced by ``secure(_:of:)``, by guest and number of the NIC.
    public private(set) var secured: [GuestName: [Int: NICSecurity]] = [:]
    private var numbers: [String: Int] = [:]
    private var faults = FaultQueue()

    /// Creates a driver of a host with the given bridges; the first serves NICs that name none.
    public init(bridges: [String] = ["cloudbr0"]) { self.bridges = bridges }

    /// Makes the next call throw `error`. Called several times, as many calls do.
    public func failNext(with error: any Error) { faults.add(error) }

    /// Records the NIC. A NIC that is plugged already gets the same interface again.
    public func plug(_ nic: NIC, of guest: GuestName) throws -> Interface {
        try faults.check()
        try nic.check()
        let bridge = try bridge(of: nic)
        let place = plugged.firstIndex { $0.guest == guest && $0.nic.deviceID == nic.deviceID }
        let end = "\(guest):\(nic.deviceID)"
        var interface = interface(nic, bridge, guest)
        // A NIC always has the same name, which a guest's document stores.
        let number = numbers[end] ?? numbers.count
        numbers[end] = number
        interface.targetDevice = "mem\(number)"
        let entry = Plugged(guest: guest, nic: nic, interface: interface)
        if let place { plugged[place] = entry } else { plugged.append(entry) }
        return interface
    }

    /// The bridge ``plug(_:of:)`` would put the NIC on.
    public func connection(of nic: NIC) throws -> Interface.Kind { .bridge(try bridge(of: nic)) }

    private func bridge(of nic: NIC) throws -> String {
        guard nic.broadcast == .untagged else {
            throw LXCError(.unsupported, "\(nic.broadcast) is a network this driver does not make")
        }
        guard let bridge = nic.bridge ?? bridges.first, bridges.contains(bridge) else {
            throw LXCError(.notFound, "there is no bridge \(nic.bridge?.escapedForDisplay ?? "at all") on this host")
        }
        return bridge
    }

    /// Notes the security with the NIC, where that is plugged, and in ``secured``.
    public func secure(_ nic: NIC, of guest: GuestName) throws {
        try faults.check()
        secured[guest, default: [:]][nic.deviceID] = nic.security
        for place in plugged.indices where plugged[place].guest == guest && plugged[place].nic.deviceID == nic.deviceID
        {
            plugged[place].nic.security = nic.security
        }
    }

    /// Forgets the NIC.
    public func unplug(_ interface: Interface) throws {
        try faults.check()
        plugged.removeAll { $0.interface.targetDevice == interface.targetDevice }
    }

    private func interface(_ nic: NIC, _ bridge: String, _ guest: GuestName) -> Interface {
        var interface = Interface(.bridge(bridge), mac: nic.mac)
        interface.model = nic.model
        interface.guestDevice = "eth\(nic.deviceID)"
        interface.mtu = nic.mtu
        interface.isPortIsolated = nic.isIsolated
        interface.filter = nic.filter.map { filter in
            let parameters = nic.filterParameters.sorted { $0.key < $1.key }.flatMap { name, values in
                values.map { Interface.FilterReference.Parameter(name, $0) }
            }
            return Interface.FilterReference(filter, parameters: parameters)
        }
        if nic.security != nil { interface.filter = Interface.FilterReference(nic.networkFilterName(of: guest)) }
        interface.bandwidth = nic.megabitsPerSecond.map { megabits in
            // As CloudStack reckons: 128 units of 1024 bytes a second for each megabit.
            let rate = Interface.Rate(average: UInt32(clamping: UInt64(max(0, megabits)).multipliedSaturating(by: 128)))
            return Interface.Bandwidth(inbound: rate, outbound: rate)
        }
        return interface
    }
}

extension UInt64 {
    fileprivate func multipliedSaturating(by factor: UInt64) -> UInt64 {
        let (product, overflow) = multipliedReportingOverflow(by: factor)
        return overflow ? .max : product
    }
}
