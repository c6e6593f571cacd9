// SPDX-License-Identifier: Apache-2.0

import LXCCore
public import LXCHypervisor
import VifDriver

extension LXCHypervisor.VifDrivers {
    /// Creates the drivers for the devices that CloudStack's `agent.properties` names.
    ///
    /// - Throws: `LXCError` `invalidArgument` for a direct driver without device or mode.
    public init(agentProperties properties: AgentProperties) throws {
        self.init(
            standard: try Self.driver(properties.vifDriver, properties),
            byTraffic: try properties.vifDrivers.mapValues { try Self.driver($0, properties) })
    }

    private static func driver(
        _ name: AgentProperties.VifDriverName, _ properties: AgentProperties
    ) throws -> any VifDriver {
        switch name {
        case .bridge:
            let privateDevice = properties.privateDevice
            return BridgeVifDriver(devices: [
                .public: properties.publicDevice, .guest: properties.guestDevice ?? privateDevice,
                .management: privateDevice, .storage: privateDevice, .control: properties.controlBridge,
            ])
        case .direct:
            guard let device = properties.directDevice, let mode = properties.directMode else {
                throw LXCError(
                    .invalidArgument,
                    "the direct network driver needs network.direct.device and network.direct.source.mode, which have no "
                        + "defaults")
            }
            return DirectVifDriver(device: device, mode: mode)
        }
    }
}
