// SPDX-License-Identifier: Apache-2.0

import LXCCore
public import LibvirtXML

/// A network interface a guest is to have.
public struct NIC: Hashable, Sendable {
    /// The interface's number, from 0 to 65535: a container sees number 0 as eth0.
    public var deviceID: Int
    /// The hardware address the guest sees; nil for one chosen when the guest is made.
    public var mac: MACAddress?
    /// The purpose of the network.
    public var trafficType: TrafficType
    /// The layer 2 network.
    public var broadcast: BroadcastDomain
    /// The host's bridge or physical device, CloudStack's traffic label; nil for the driver's own for the type of
    /// traffic.
    public var bridge: String?
    /// The MTU in bytes, 68 to 65535; nil for the bridge's.
    public var mtu: Int?
    /// The most the guest can send, and the most it can receive, in megabits (10⁶ bits) a second; nil is no limit.
    public var megabitsPerSecond: Int?
    /// Whether it cannot reach the other isolated interfaces on the same bridge.
    public var isIsolated: Bool
    /// The hardware a virtual machine sees, such as `virtio`; of no account in a container.
    public var model: String?
    /// A network filter of libvirt's, such as `clean-traffic`.
    public var filter: String?
    /// The values of the filter's variables, such as `["IP": ["10.1.2.3"]]`.
    public var filterParameters: [String: [String]]
    /// The traffic the guest may send and receive, in place of a libvirt filter; it needs ``mac``.
    public var security: NICSecurity?

    /// A NIC; without arguments the guest's first one, on the driver's own bridge.
    public init(
        deviceID: Int = 0, mac: MACAddress? = nil, trafficType: TrafficType = .guest,
        broadcast: BroadcastDomain = .untagged, bridge: String? = nil, mtu: Int? = nil, megabitsPerSecond: Int? = nil,
        isIsolated: Bool = false, model: String? = nil, filter: String? = nil,
        filterParameters: [String: [String]] = [:], security: NICSecurity? = nil
    ) {
        self.deviceID = deviceID
        self.mac = mac
        self.trafficType = trafficType
        self.broadcast = broadcast
        self.bridge = bridge
        self.mtu = mtu
        self.megabitsPerSecond = megabitsPerSecond
        self.isIsolated = isIsolated
        self.model = model
        self.filter = filter
        self.filterParameters = filterParameters
        self.security = security
    }
}

extension NIC: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case deviceID, mac, trafficType, broadcast, bridge, mtu, megabitsPerSecond, isolated, model, filter,
            filterParameters, security
    }

    /// Reads a NIC; a key that is missing has the value it has in `NIC()`.
    ///
    /// - Throws: `LXCError` `invalidArgument` for an unknown key and for values that break a rule.
    public init(from decoder: any Decoder) throws {
        self = try decoder.inOurWords { try Self(reading: decoder) }
    }

    private init(reading decoder: any Decoder) throws {
        try decoder.requireKeys(of: CodingKeys.self, in: "a NIC")
        let values = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            deviceID: values.decodeIfPresent(Int.self, forKey: .deviceID) ?? 0,
            mac: values.decodeIfPresent(MACAddress.self, forKey: .mac),
            trafficType: values.decodeIfPresent(TrafficType.self, forKey: .trafficType) ?? .guest,
            broadcast: values.decodeIfPresent(BroadcastDomain.self, forKey: .broadcast) ?? .untagged,
            bridge: values.decodeIfPresent(String.self, forKey: .bridge),
            mtu: values.decodeIfPresent(Int.self, forKey: .mtu),
            megabitsPerSecond: values.decodeIfPresent(Int.self, forKey: .megabitsPerSecond),
            isIsolated: values.decodeIfPresent(Bool.self, forKey: .isolated) ?? false,
            model: values.decodeIfPresent(String.self, forKey: .model),
            filter: values.decodeIfPresent(String.self, forKey: .filter),
            filterParameters: values.decodeIfPresent([String: [String]].self, forKey: .filterParameters) ?? [:],
            security: values.decodeIfPresent(NICSecurity.self, forKey: .security))
    }

    /// Writes every key that has another value than in `NIC()`, and the number.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(deviceID, forKey: .deviceID)
        try values.encodeIfPresent(mac, forKey: .mac)
        try values.encode(trafficType, forKey: .trafficType)
        if broadcast != .untagged { try values.encode(broadcast, forKey: .broadcast) }
        try values.encodeIfPresent(bridge, forKey: .bridge)
        try values.encodeIfPresent(mtu, forKey: .mtu)
        try values.encodeIfPresent(megabitsPerSecond, forKey: .megabitsPerSecond)
        if isIsolated { try values.encode(isIsolated, forKey: .isolated) }
        try values.encodeIfPresent(model, forKey: .model)
        try values.encodeIfPresent(filter, forKey: .filter)
        if !filterParameters.isEmpty { try values.encode(filterParameters, forKey: .filterParameters) }
        try values.encodeIfPresent(security, forKey: .security)
    }
}
