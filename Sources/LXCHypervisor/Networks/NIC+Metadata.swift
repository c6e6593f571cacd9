// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LibvirtXML
import VifDriver

extension NIC {
    /// What the container's metadata stores of the NIC in addition to its interface.
    var network: ContainerMetadata.Network {
        ContainerMetadata.Network(
            device: deviceID, traffic: trafficType.rawValue,
            broadcast: broadcast == .untagged ? nil : broadcast.description, label: bridge,
            security: security.map { security in
                .init(
                    addresses: security.addresses.map(\.description), rules: security.rules?.map(\.description))
            })
    }

    /// The NIC's network and security, enough to recreate both. `nil` if this version does not know the kind of traffic
    /// or network.
    ///
    /// - Throws: `LXCError` `invalidState` if it has security that this version cannot enforce: it must not run
    ///   without.
    init?(_ network: ContainerMetadata.Network, of interface: Interface) throws {
        let broadcast = network.broadcast.map { try? BroadcastDomain(parsing: $0) } ?? .untagged
        guard let traffic = TrafficType(rawValue: network.traffic), let broadcast else {
            guard network.security == nil else { throw Self.unknownSecurity(network) }
            return nil
        }
        self.init(
            deviceID: network.device, mac: interface.mac, trafficType: traffic, broadcast: broadcast,
            bridge: network.label, security: try network.security.map { try Self.security($0, network) })
    }

    private static func security(
        _ security: ContainerMetadata.Network.Security, _ network: ContainerMetadata.Network
    ) throws -> NICSecurity {
        do {
            return NICSecurity(
                addresses: try security.addresses.map { try IPNetwork(parsing: $0) },
                rules: try security.rules?.map { try SecurityRule(parsing: $0) })
        } catch {
            throw unknownSecurity(network, error)
        }
    }

    private static func unknownSecurity(_ network: ContainerMetadata.Network, _ cause: (any Error)? = nil) -> LXCError {
        LXCError(
            .invalidState,
            "NIC \(network.device) has security of a newer version of this program; unplug it and plug it again",
            cause: cause)
    }
}
