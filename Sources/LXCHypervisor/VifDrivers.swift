public import DomainXML
public import LXCCore
public import VifDriver

/// Which network driver serves which kind of traffic: CloudStack's `libvirt.vif.driver[.<TrafficType>]`.
public struct VifDrivers: Sendable {
    /// Serves traffic no other driver is named for.
    public var standard: any VifDriver
    /// Serves one kind of traffic each.
    public var byTraffic: [TrafficType: any VifDriver]

    /// Takes the drivers; by default bridges for everything.
    public init(standard: any VifDriver = BridgeVifDriver(), byTraffic: [TrafficType: any VifDriver] = [:]) {
        self.standard = standard
        self.byTraffic = byTraffic
    }

    /// Takes CloudStack's `libvirt.vif.driver` and `libvirt.vif.driver.<TrafficType>`, whose values are class names:
    /// `BridgeVifDriver` (the default) and `DirectVifDriver`, with or without their package. What these read themselves
    /// `BridgeVifDriver/init(agentProperties:)` and `DirectVifDriver/init(agentProperties:)` say.
    ///
    /// - Throws: `LXCError` `unsupported` for `OvsVifDriver`, `IvsVifDriver` and `network.bridge.type=openvswitch`,
    ///   `invalidArgument` for other names, and what the drivers throw.
    public init(agentProperties properties: JavaProperties) throws {
        let bridgeType = properties["network.bridge.type"]?.lowercased() ?? "native"
        guard bridgeType == "native" else {
            throw LXCError(
                .unsupported, "network.bridge.type=\(bridgeType.escapedForDisplay) is not offered; use native bridges")
        }
        let key = "libvirt.vif.driver"
        try self.init(standard: Self.driver(named: properties[key] ?? "BridgeVifDriver", key, properties))
        for type in TrafficType.allCases {
            let key = "\(key).\(type.rawValue)"
            if let name = properties[key] { byTraffic[type] = try Self.driver(named: name, key, properties) }
        }
    }

    private static func driver(
        named name: String, _ key: String, _ properties: JavaProperties
    ) throws -> any VifDriver {
        let package = "com.cloud.hypervisor.kvm.resource."
        switch name.hasPrefix(package) ? String(name.dropFirst(package.count)) : name {
        case "BridgeVifDriver": return try BridgeVifDriver(agentProperties: properties)
        case "DirectVifDriver": return try DirectVifDriver(agentProperties: properties)
        case "OvsVifDriver", "IvsVifDriver":
            throw LXCError(.unsupported, "\(key)=\(name) is not offered; use BridgeVifDriver or DirectVifDriver")
        default:
            throw LXCError(
                .invalidArgument,
                "\(key) cannot be \"\(name.escapedForDisplay)\"; use BridgeVifDriver or DirectVifDriver")
        }
    }

    /// The interfaces of a guest in the order of their device ids. Either all are plugged or none is.
    ///
    /// - Throws: `LXCError` as the drivers do: `notFound` for a bridge or device that is not there, and others.
    public func plug(_ nics: [NIC], of guest: ContainerName) async throws -> [Interface] {
        var interfaces: [Interface] = []
        for nic in nics.sorted(by: { $0.deviceID < $1.deviceID }) {
            do {
                interfaces.append(try await (byTraffic[nic.trafficType] ?? standard).plug(nic, of: guest))
            } catch {
                // In a task of its own: the caller's cancellation must not keep the others from being taken back.
                try? await Task { [interfaces] in try await unplug(interfaces) }.value
                throw error
            }
        }
        return interfaces
    }

    /// Takes interfaces back. Each driver knows its own; one that fails keeps no other from being taken back.
    ///
    /// - Throws: the first failure.
    public func unplug(_ interfaces: [Interface]) async throws {
        var failure: (any Error)?
        for interface in interfaces {
            for driver in [standard] + byTraffic.values {
                do { try await driver.unplug(interface) } catch { failure = failure ?? error }
            }
        }
        if let failure { throw failure }
    }
}
