// SPDX-License-Identifier: Apache-2.0

public import LXCCore
import LibvirtXML

extension NIC {
    /// The features a NIC can request beyond its connection.
    public enum Feature: String, Hashable, Sendable, CaseIterable {
        /// To be in a VLAN.
        case vlan = "a VLAN"
        /// To be in a VXLAN.
        case vxlan = "a VXLAN"
        /// A bridge or device of its own choice.
        case bridge = "a bridge"
        /// The largest packet.
        case mtu = "an MTU"
        /// The most it sends and receives.
        case rate = "a rate"
        /// To be kept from other isolated interfaces.
        case isolation = "isolation"
        /// The hardware a virtual machine sees.
        case model = "a hardware model"
        /// A network filter of libvirt's.
        case filter = "a network filter"
        /// Security rules.
        case security = "security rules"
    }

    /// The features this NIC requests.
    public var features: Set<Feature> {
        var features: Set<Feature> = []
        switch broadcast {
        case .untagged: break
        case .vlan: features.insert(.vlan)
        case .vxlan: features.insert(.vxlan)
        }
        if bridge != nil { features.insert(.bridge) }
        if mtu != nil { features.insert(.mtu) }
        if megabitsPerSecond != nil { features.insert(.rate) }
        if isIsolated { features.insert(.isolation) }
        if model != nil { features.insert(.model) }
        if filter != nil || !filterParameters.isEmpty { features.insert(.filter) }
        if security != nil { features.insert(.security) }
        return features
    }

    /// Refuses the NIC if it requests a feature that a driver lacks, so that none is silently ignored.
    ///
    /// - Parameters:
    ///   - supported: the features the driver provides, or may ignore.
    ///   - guest: the NIC's guest.
    ///   - driver: the driver.
    /// - Throws: `LXCError` `unsupported` naming the NIC and the feature.
    public func require(
        only supported: Set<Feature>, of guest: GuestName, by driver: some VifDriver
    ) throws {
        let refused = features.subtracting(supported).map(\.rawValue).sorted()
        guard refused.isEmpty else {
            throw LXCError(
                .unsupported,
                "NIC \(deviceID) of \(guest) asks for \(refused.joined(separator: ", ")), which the network driver "
                    + "\(driver.name) cannot give; leave it out, or use another network driver")
        }
    }

    /// Refuses the NIC when it is for traffic a driver does not serve.
    ///
    /// - Throws: `LXCError` `unsupported` naming the NIC and its traffic.
    public func require(
        traffic served: Set<TrafficType>, of guest: GuestName, by driver: some VifDriver
    ) throws {
        guard served.contains(trafficType) else {
            let names = served.map(\.rawValue).sorted().joined(separator: " and ")
            throw LXCError(
                .unsupported,
                "NIC \(deviceID) of \(guest) is for \(trafficType.rawValue) traffic, and the network driver "
                    + "\(driver.name) serves \(names) alone; use another network driver")
        }
    }

    /// Checks the values: the number, the network, the rate, and that filter and security fit together.
    /// ``interface(_:of:target:)`` does so itself; call it before anything is made on the host.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming the fault.
    public func check() throws {
        guard (0...65535).contains(deviceID) else {
            throw LXCError(.invalidArgument, "a NIC's device id cannot be \(deviceID); use 0 to 65535")
        }
        try broadcast.check()
        guard filter != nil || filterParameters.isEmpty else {
            throw LXCError(.invalidArgument, "NIC \(deviceID) has filter parameters but no filter; name the filter")
        }
        _ = try checkedRate()
        guard let security else { return }
        guard filter == nil else {
            throw LXCError(.invalidArgument, "NIC \(deviceID) has a filter and security rules; leave one of them out")
        }
        guard mac != nil else { throw Self.needsAddress(deviceID) }
        try security.check()
    }

    /// Checks that a text can name a network device, as the kernel and libvirt take it.
    ///
    /// - Throws: `LXCError` `invalidArgument` describing valid names.
    public static func checkDeviceName(_ name: String) throws {
        guard Interface.isDeviceName(name) else {
            throw LXCError(
                .invalidArgument,
                "\"\(name.escapedForDisplay)\" cannot name a network device; use 1 to 15 of A-Z a-z 0-9 . _ -")
        }
    }

    /// The rate in megabits a second, if libvirt can be told it.
    func checkedRate() throws -> UInt32? {
        guard let megabitsPerSecond else { return nil }
        guard let rate = UInt32(exactly: megabitsPerSecond), rate > 0, rate <= UInt32.max / 128 else {
            throw LXCError(
                .invalidArgument,
                "NIC \(deviceID) cannot have \(megabitsPerSecond) Mbit/s; use 1 to \(UInt32.max / 128), or none at all")
        }
        return rate
    }
}
