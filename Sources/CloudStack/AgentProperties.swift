public import LXCCore
public import LXCHypervisor
public import LibvirtXML
public import VifDriver

/// What CloudStack's `agent.properties` says of an LXC host.
public struct AgentProperties: Hashable, Sendable {
    /// CloudStack's network drivers, by the names of their classes.
    public enum VifDriverName: String, Hashable, Sendable, CaseIterable {
        /// Bridges.
        case bridge = "BridgeVifDriver"
        /// Devices of the host itself.
        case direct = "DirectVifDriver"
    }

    /// `hypervisor.uri`: where libvirt answers; nil takes `lxc:///`.
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
    /// `stop.script.timeout`: how long a container has to end by itself.
    public var stopTimeout = Duration.seconds(120)
    /// Keys of CloudStack's that mean something to its agent and nothing to this package, with their values.
    public var unused: [String: String] = [:]
    /// Keys nobody knows, with their values: misspelt ones are among them.
    public var unknown: [String: String] = [:]

    /// CloudStack's defaults.
    public init() {}

    /// Reads the properties.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming key, value and reason for a value that cannot be; `unsupported` for
    ///   a host of another hypervisor and for network drivers that do not work with containers.
    public init(_ properties: JavaProperties) throws {
        for key in properties.keys {
            // Java takes an empty value for what it is; for these keys it says nothing.
            guard let value = properties[key]?.trimmingSpaces, !value.isEmpty else { continue }
            try set(key, value)
        }
        localPools = try Self.localPools(of: properties) ?? localPools
        try checkDirect()
    }
}

extension String {
    fileprivate var trimmingSpaces: String {
        let start = drop { $0 == " " || $0 == "\t" }
        return String(start.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }
}

extension AgentProperties {
    private mutating func set(_ key: String, _ value: String) throws {
        switch key {
        case "hypervisor.type": try Self.requireLXC(value)
        case "hypervisor.uri": hypervisorURI = Locator(try Self.uri(key, value))
        case "local.storage.path", "local.storage.uuid": break  // The two are read together.
        case "libvirt.vif.driver": vifDriver = try Self.driver(key, value)
        case "network.direct.device": directDevice = try Self.device(key, value)
        case "network.direct.source.mode":
            guard let mode = Interface.DirectMode(rawValue: value) else {
                throw Self.fault(key, value, "expected private, bridge, vepa or passthrough")
            }
            directMode = mode
        case "public.network.device": publicDevice = try Self.device(key, value)
        case "private.network.device": privateDevice = try Self.device(key, value)
        case "guest.network.device": guestDevice = try Self.device(key, value)
        case "private.bridge.name": controlBridge = try Self.device(key, value)
        case "network.bridge.type": try Self.requireNativeBridges(key, value)
        case "host.reserved.mem.mb": reservedMemory = try .mebibytes(Self.number(key, value))
        case "host.overcommit.mem.mb": overcommittedMemory = try .mebibytes(Self.number(key, value))
        case "stop.script.timeout": stopTimeout = try .seconds(Self.number(key, value, upTo: 31_536_000))
        case _ where key.hasPrefix("libvirt.vif.driver."):
            let name = String(key.dropFirst("libvirt.vif.driver.".count))
            guard let traffic = TrafficType(rawValue: name) else {
                let names = TrafficType.allCases.map(\.rawValue).joined(separator: ", ")
                throw Self.fault(key, value, "the kinds of traffic are \(names)")
            }
            vifDrivers[traffic] = try Self.driver(key, value)
        case _ where Self.agentKeys.contains(key) || key.hasPrefix("agent.hooks."): unused[key] = value
        default: unknown[key] = value
        }
    }

    /// What CloudStack's own agent does with its management server, with virtual machines, or with scripts of its own.
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
        var pools = try list(pathKey, properties) { LXCHypervisor.Configuration.Pool(try path(pathKey, $0, in: $1)) }
        let ids = try list(idKey, properties) { id, list in
            try reading(idKey, list) { _ in try PoolID(parsing: id) }
        }
        let count = pools.isEmpty ? AgentProperties().localPools.count : pools.count
        guard ids.isEmpty || ids.count == count else {
            throw fault(idKey, properties[idKey] ?? "", "expected \(count) of them, one for each of \(pathKey)")
        }
        if pools.isEmpty, !ids.isEmpty { pools = AgentProperties().localPools }
        for (index, id) in ids.enumerated() { pools[index].id = id }
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

    // MARK: Values

    private static func fault(_ key: String, _ value: String, _ reason: String) -> LXCError {
        // Keys come from a file as much as values do.
        LXCError(.invalidArgument, "\(key.escapedForDisplay)=\(Locator(value)): \(reason)")
    }

    private static func reading<Value>(
        _ key: String, _ value: String, _ read: (String) throws -> Value
    ) throws -> Value {
        do { return try read(value) } catch let error as LXCError { throw fault(key, value, error.message) }
    }

    private static func number(_ key: String, _ value: String, upTo limit: UInt64 = 1 << 40) throws -> UInt64 {
        guard let number = UInt64(value), number <= limit else {
            throw fault(key, value, "expected a whole number from 0 to \(limit)")
        }
        return number
    }

    /// The values of a list with commas; none where the key is missing or says nothing. The whole list is given to `read`, for
    /// its errors.
    private static func list<Value>(
        _ key: String, _ properties: JavaProperties, _ read: (_ value: String, _ list: String) throws -> Value
    ) throws -> [Value] {
        guard let value = properties[key]?.trimmingSpaces, !value.isEmpty else { return [] }
        return try value.split(separator: ",", omittingEmptySubsequences: false).map {
            try read(String($0).trimmingSpaces, value)
        }
    }

    private static func path(_ key: String, _ value: String, in list: String) throws -> String {
        guard value.hasPrefix("/") || value.hasPrefix("nfs://"), !value.utf8.contains(0) else {
            throw fault(key, list, "expected an absolute path, or nfs://server/export")
        }
        // CloudStack strips it as well.
        return value.count > 1 && value.hasSuffix("/") ? String(value.dropLast()) : value
    }

    private static func uri(_ key: String, _ value: String) throws -> String {
        guard value.lowercased().hasPrefix("lxc:") || value.lowercased().hasPrefix("lxc+") else {
            throw fault(key, value, "expected a libvirt URI of the LXC driver, as lxc:///")
        }
        return value
    }

    private static func device(_ key: String, _ value: String) throws -> String {
        guard Interface.isDeviceName(value) else {
            throw fault(key, value, "expected the name of a network device, 1 to 15 of A-Z a-z 0-9 . _ -")
        }
        return value
    }

    private static func driver(_ key: String, _ value: String) throws -> VifDriverName {
        let package = "com.cloud.hypervisor.kvm.resource."
        let name = value.hasPrefix(package) ? String(value.dropFirst(package.count)) : value
        if let driver = VifDriverName(rawValue: name) { return driver }
        if name == "OvsVifDriver" || name == "IvsVifDriver" {
            throw LXCError(
                .unsupported,
                "\(key.escapedForDisplay)=\(value.escapedForDisplay): switches of that kind are not supported")
        }
        throw fault(key, value, "expected BridgeVifDriver or DirectVifDriver, with or without \(package) before it")
    }

    private static func requireLXC(_ value: String) throws {
        guard value.lowercased() == "lxc" else {
            throw LXCError(
                .unsupported,
                "hypervisor.type=\(value.escapedForDisplay): this is no LXC host; set it to lxc")
        }
    }

    private static func requireNativeBridges(_ key: String, _ value: String) throws {
        guard value.lowercased() == "native" else {
            throw LXCError(
                .unsupported, "\(key)=\(value.escapedForDisplay): only native bridges are supported; leave the key out")
        }
    }
}
