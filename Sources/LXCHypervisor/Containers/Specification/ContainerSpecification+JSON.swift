import Foundation
import HypervisorDriver
import LXCCore
import LibvirtXML
import VifDriver

extension LXCHypervisor.ContainerSpecification: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case name, uuid, template, pool, volume, privileged, idMap, `init`, arguments, environment, memory, cpus,
            cpuShares,
            cpuPeriod, cpuQuota, cpuSet, softMemory, memoryAndSwap, processes, blockIOWeight, blockIODevices,
            stopSignal,
            restart, autostart, consoleLog, nics, identity, owner, title
    }

    /// Reads a specification; only `name` and `template` are needed.
    ///
    /// `idMap` is a list of `CONTAINER:HOST:COUNT`, `memory` a number of bytes or a text as `512MiB`.
    ///
    /// - Throws: `LXCError` `invalidArgument` for values that break a rule, also for `idMap` beside
    ///   `"privileged": true`.
    public init(from decoder: any Decoder) throws {
        self = try decoder.inOurWords { try Self(reading: decoder) }
    }

    private init(reading decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        try decoder.requireKeys(of: CodingKeys.self, in: "a container specification")
        try self.init(
            name: values.decode(GuestName.self, forKey: .name),
            template: values.decode(TemplateID.self, forKey: .template),
            privilege: Self.privilege(values))
        uuid = try values.decodeIfPresent(UUID.self, forKey: .uuid) ?? uuid
        volume = try values.decodeIfPresent(VolumeID.self, forKey: .volume) ?? volume
        pool = try values.decodeIfPresent(PoolID.self, forKey: .pool)
        initProcess = InitProcess(
            path: try values.decodeIfPresent(String.self, forKey: .`init`) ?? initProcess.path,
            arguments: try values.decodeIfPresent([String].self, forKey: .arguments) ?? [],
            environment: try values.decodeIfPresent([String: String].self, forKey: .environment) ?? [:])
        memory = try ByteCount(values, .memory) ?? memory
        softMemory = try ByteCount(values, .softMemory)
        memoryAndSwap = try ByteCount(values, .memoryAndSwap)
        cpu = CPU(
            count: try values.decodeIfPresent(Int.self, forKey: .cpus) ?? cpu.count,
            shares: try values.decodeIfPresent(UInt32.self, forKey: .cpuShares),
            period: try values.decodeIfPresent(UInt64.self, forKey: .cpuPeriod),
            quota: try values.decodeIfPresent(Int64.self, forKey: .cpuQuota),
            set: try values.decodeIfPresent(String.self, forKey: .cpuSet))
        processes = try values.decodeIfPresent(UInt64.self, forKey: .processes) ?? processes
        blockIOWeight = try values.decodeIfPresent(UInt32.self, forKey: .blockIOWeight)
        blockIODevices = try values.decodeIfPresent([GuestLimits.Device].self, forKey: .blockIODevices) ?? []
        stopSignal = try values.decodeIfPresent(GuestSignal.self, forKey: .stopSignal)
        restart = try values.decodeIfPresent(ContainerMetadata.RestartPolicy.self, forKey: .restart) ?? restart
        isAutostarted = try values.decodeIfPresent(Bool.self, forKey: .autostart) ?? false
        consoleLog = try ByteCount(values, .consoleLog)
        nics = NIC.numbered(try values.decodeIfPresent([NIC].self, forKey: .nics) ?? [])
        // null is none; a key that is missing is the default.
        if values.contains(.identity) {
            identity = try values.decode(LXCHypervisor.GuestIdentity?.self, forKey: .identity)
        }
        owner = try values.decodeIfPresent(String.self, forKey: .owner)
        title = try values.decodeIfPresent(String.self, forKey: .title)
    }

    private static func privilege(_ values: KeyedDecodingContainer<CodingKeys>) throws -> Privilege? {
        let isPrivileged = try values.decodeIfPresent(Bool.self, forKey: .privileged)
        guard let ranges = try values.decodeIfPresent([String].self, forKey: .idMap) else {
            return isPrivileged.map { $0 ? .privileged : .isolated }
        }
        guard isPrivileged != true else {
            throw LXCError(.invalidArgument, "a container is either privileged or has an idMap; leave one of them out")
        }
        return .unprivileged(try IDMap(parsing: ranges))
    }

    /// Writes every key that has a value.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(name, forKey: .name)
        try values.encode(uuid.uuidString.lowercased(), forKey: .uuid)
        try values.encode(template, forKey: .template)
        try values.encode(volume, forKey: .volume)
        try values.encodeIfPresent(pool, forKey: .pool)
        switch privilege {
        case nil: break
        case .isolated: try values.encode(false, forKey: .privileged)
        case .privileged: try values.encode(true, forKey: .privileged)
        case .unprivileged(let map):
            guard map.users == map.groups else {
                throw LXCError(.unsupported, "an id map with other ranges for groups than for users has no JSON form")
            }
            try values.encode(map.users.map(\.description), forKey: .idMap)
        }
        try values.encode(initProcess.path, forKey: .`init`)
        if !initProcess.arguments.isEmpty { try values.encode(initProcess.arguments, forKey: .arguments) }
        if !initProcess.environment.isEmpty { try values.encode(initProcess.environment, forKey: .environment) }
        try values.encode(memory, forKey: .memory)
        try values.encode(cpu.count, forKey: .cpus)
        try values.encodeIfPresent(cpu.shares, forKey: .cpuShares)
        try values.encodeIfPresent(cpu.period, forKey: .cpuPeriod)
        try values.encodeIfPresent(cpu.quota, forKey: .cpuQuota)
        try values.encodeIfPresent(cpu.set, forKey: .cpuSet)
        try values.encodeIfPresent(softMemory, forKey: .softMemory)
        try values.encodeIfPresent(memoryAndSwap, forKey: .memoryAndSwap)
        try values.encode(processes, forKey: .processes)
        try values.encodeIfPresent(blockIOWeight, forKey: .blockIOWeight)
        if !blockIODevices.isEmpty { try values.encode(blockIODevices, forKey: .blockIODevices) }
        try values.encodeIfPresent(stopSignal, forKey: .stopSignal)
        if restart != .never { try values.encode(restart, forKey: .restart) }
        if isAutostarted { try values.encode(true, forKey: .autostart) }
        try values.encodeIfPresent(consoleLog, forKey: .consoleLog)
        if !nics.isEmpty { try values.encode(nics, forKey: .nics) }
        if identity != LXCHypervisor.GuestIdentity() { try values.encode(identity, forKey: .identity) }
        try values.encodeIfPresent(owner, forKey: .owner)
        try values.encodeIfPresent(title, forKey: .title)
    }
}

extension ByteCount {
    /// The value of a key: a number of bytes, or a text as `512MiB`.
    init?<Key: CodingKey>(_ values: KeyedDecodingContainer<Key>, _ key: Key) throws {
        guard values.contains(key), try !values.decodeNil(forKey: key) else { return nil }
        if let bytes = try? values.decode(UInt64.self, forKey: key) {
            self.init(bytes)
        } else if let text = try? values.decode(String.self, forKey: key) {
            try self.init(parsing: text)
        } else {
            throw LXCError(
                .invalidArgument, "\"\(key.stringValue)\" has to be a whole number of bytes or a text as \"512MiB\"")
        }
    }
}

extension NIC {
    /// NICs without device ids are numbered as they are listed.
    static func numbered(_ nics: [NIC]) -> [NIC] {
        guard nics.allSatisfy({ $0.deviceID == 0 }) else { return nics }
        return nics.enumerated().map { index, nic in
            var nic = nic
            nic.deviceID = index
            return nic
        }
    }
}
