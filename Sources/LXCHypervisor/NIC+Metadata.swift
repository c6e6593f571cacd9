import DomainXML
import VifDriver

extension NIC {
    /// What the container's metadata keeps of it, beside what its interface says.
    var network: ContainerMetadata.Network {
        ContainerMetadata.Network(
            device: deviceID, traffic: trafficType.rawValue,
            broadcast: broadcast == .untagged ? nil : broadcast.description, label: bridge)
    }

    /// The NIC as far as its network is concerned: enough to make that again. Nil for a kind of traffic or network that
    /// this version does not know.
    init?(_ network: ContainerMetadata.Network) {
        guard let traffic = TrafficType(rawValue: network.traffic) else { return nil }
        var broadcast = BroadcastDomain.untagged
        if let text = network.broadcast {
            guard let known = try? BroadcastDomain(parsing: text) else { return nil }
            broadcast = known
        }
        self.init(deviceID: network.device, trafficType: traffic, broadcast: broadcast, bridge: network.label)
    }
}
