// SPDX-License-Identifier: Apache-2.0

public import LXCCore
public import LXCHypervisor
public import LibvirtXML
public import VifDriver

/// The settings of CloudStack's `agent.properties` for an LXC host.
public struct AgentProperties: Hashable, Sendable {
    /// CloudStack's network drivers, by the names of their classes.
    public enum VifDriverName: String, Hashable, Sendable, CaseIterable {
        /// Bridges.
        case bridge = "BridgeVifDriver"
        /// Devices of the host itself.
        case direct = "DirectVifDriver"
    }

    /// `hypervisor.uri`: the URI of libvirt; nil means `lxc:///`.
    public var hypervisorURI: Locator?
    /// `local.storage.path` and `local.storage.uuid`, lists with commas: the local pools. The first is the default.
    public var localPools = [LXCHypervisor.Configuration.Pool("/var/lib/libvirt/images")]
    /// `libvirt.vif.driver`: serves traffic no other driver is named for.
    public var vifDriver = VifDriverName.bridge
    /// `libvirt.vif.driver.<TrafficType>`.
    public var vifDrivers: [TrafficType: VifDriverName] = [:]
    /// `network.direct.device`.
    public var directDevice: String?
    /// `network.direct.source.mode`: `private`, `bridge`, `vepa` or `passthrough`.
    public var directMode: Interface.DirectMode?
    /// `public.network.device`: a bridge or a physical device, as the next two.
    public var publicDevice = "cloudbr0"
    /// `private.network.device`: for storage and management, too.
    public var privateDevice = "cloudbr1"
    /// `guest.network.device`; without it the private device.
    public var guestDevice: String?
    /// `private.bridge.name`: the bridge between the host and its system VMs.
    public var controlBridge = "cloud0"
    /// `host.reserved.mem.mb`.
    public var reservedMemory = ByteCount.mebibytes(1024)
    /// `host.overcommit.mem.mb`.
    public var overcommittedMemory = ByteCount(0)
    /// `stop.script.timeout`: the time a container has to shut down.
    public var stopTimeout = Duration.seconds(120)
    /// Keys of CloudStack's that mean something to its agent and nothing to this package, with their values.
    public var unused: [String: String] = [:]
    /// Unknown keys with their values, misspelt ones among them.
    public var unknown: [String: String] = [:]

    /// CloudStack's defaults.
    public init() {}

    /// Reads the properties.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming key, value and reason for a value that cannot be; `unsupported` for
    ///   a host of another hypervisor and for network drivers that do not work with containers.
    public init(_ properties: JavaProperties) throws {
        for key in properties.keys {
            // Java reads an empty value as such; for these keys it means "not set".
            guard let value = properties[key]?.trimmingSpaces, !value.isEmpty else { continue }
            try set(key, value)
        }
        localPools = try Self.localPools(of: properties) ?? localPools
        try checkDirect()
    }
}

extension String {
    var trimmingSpaces: String {
        let start = drop { $0 == " " || $0 == "\t" }
        return String(start.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }
}

extension AgentProperties {
    private mutating func set(_ key: String, _ value: String) throws {
        let property = AgentProperty(key: key, value: value)
        if let setting = Self.settings[key] {
            try setting.set(&self, property)
        } else if let traffic = try property.traffic {
            vifDrivers[traffic] = try property.driver
        } else if Self.agentKeys.contains(key) || key.hasPrefix("agent.hooks.") {
            unused[key] = value
        } else {
            unknown[key] = value
        }
    }

    /// The effect of a key: it stores its value, or checks that it is the supported one.
    private struct Setting: Sendable {
        let set: @Sendable (inout AgentProperties, AgentProperty) throws -> Void

        static func stored<Value>(
            _ path: any WritableKeyPath<AgentProperties, Value> & Sendable,
            _ read: @escaping @Sendable (AgentProperty) throws -> Value
        ) -> Setting {
            Setting { $0[keyPath: path] = try read($1) }
        }

        static func checked(_ check: @escaping @Sendable (AgentProperty) throws -> Void) -> Setting {
            Setting { try check($1) }
        }
    }

    private static let settings: [String: Setting] = [
        "hypervisor.type": .checked { try $0.requireLXC() },
        "hypervisor.uri": .stored(\.hypervisorURI) { try $0.uri },
        // The two are lists and read together, by ``localPools(of:)``.
        "local.storage.path": .checked { _ in }, "local.storage.uuid": .checked { _ in },
        "libvirt.vif.driver": .stored(\.vifDriver) { try $0.driver },
        "network.direct.device": .stored(\.directDevice) { try $0.device },
        "network.direct.source.mode": .stored(\.directMode) { try $0.directMode },
        "public.network.device": .stored(\.publicDevice) { try $0.device },
        "private.network.device": .stored(\.privateDevice) { try $0.device },
        "guest.network.device": .stored(\.guestDevice) { try $0.device },
        "private.bridge.name": .stored(\.controlBridge) { try $0.device },
        "network.bridge.type": .checked { try $0.requireNativeBridges() },
        "host.reserved.mem.mb": .stored(\.reservedMemory) { try .mebibytes($0.number()) },
        "host.overcommit.mem.mb": .stored(\.overcommittedMemory) { try .mebibytes($0.number()) },
        "stop.script.timeout": .stored(\.stopTimeout) { try .seconds($0.number(upTo: 31_536_000)) },
    ]

    /// Keys for CloudStack's own agent: its connection to the management server, virtual machines, and its scripts.
    private static let agentKeys: Set<String> = [
        "guid", "workers", "host", "port", "zone", "pod", "cluster", "resource", "instance", "scripts.timeout",
        "cmds.timeout", "qemu.sockets.path", "systemvm.iso.path", "mount.path", "domr.scripts.dir",
        "network.scripts.dir", "ping.interval", "vm.memballoon.disable", "kvmclock.disable",
        "reboot.host.and.alert.management.on.heartbeat.timeout", "developer", "LibvirtComputingResource.id",
        "consoleproxy.httpListenPort", "vm.migrate.speed", "host.cpu.manual.speed.mhz", "keystore.passphrase",
    ]

    /// The pools of `local.storage.path` and `local.storage.uuid` alone; nil where the first is missing or says nothing.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming key, value and reason, also for lists of different lengths.
    public static func localPools(of properties: JavaProperties) throws -> [LXCHypervisor.Configuration.Pool]? {
        let (pathKey, idKey) = ("local.storage.path", "local.storage.uuid")
        let (paths, ids) = (AgentProperty.list(pathKey, properties), AgentProperty.list(idKey, properties))
        var pools = try paths.map { LXCHypervisor.Configuration.Pool(try $0.path) }
        let count = pools.isEmpty ? AgentProperties().localPools.count : pools.count
        guard ids.isEmpty || ids.count == count else {
            throw ids[0].fault("expected \(count) of them, one for each of \(pathKey)")
        }
        if pools.isEmpty, !ids.isEmpty { pools = AgentProperties().localPools }
        for (index, id) in ids.enumerated() { pools[index].id = try id.poolID }
        return pools.isEmpty ? nil : pools
    }

    private func checkDirect() throws {
        guard vifDriver == .direct || vifDrivers.values.contains(.direct) else { return }
        guard directDevice != nil, directMode != nil else {
            throw LXCError(
                .invalidArgument,
                "libvirt.vif.driver: DirectVifDriver needs network.direct.device and network.direct.source.mode, which "
                    + "have no defaults")
        }
    }
}
