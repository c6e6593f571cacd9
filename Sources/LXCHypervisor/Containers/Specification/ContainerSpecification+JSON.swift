// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
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
        cpus = try values.decodeIfPresent(Int.self, forKey: .cpus) ?? cpus
        limits = try Self.limits(values)
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

    /// The limits. 0 processes, rates of 0 and a negative quota are none, as in libvirt's documents.
    private static func limits(_ values: KeyedDecodingContainer<CodingKeys>) throws -> GuestLimits {
        var limits = GuestLimits.standard
        limits.memory = try ByteCount(values, .memory) ?? limits.memory
        limits.softMemory = try ByteCount(values, .softMemory)
        limits.memoryAndSwap = try ByteCount(values, .memoryAndSwap)
        limits.cpuShares = try values.decodeIfPresent(UInt32.self, forKey: .cpuShares).map(UInt64.init)
        limits.cpuPeriod = try values.decodeIfPresent(UInt64.self, forKey: .cpuPeriod).map { .microseconds($0) }
        if let quota = try values.decodeIfPresent(Int64.self, forKey: .cpuQuota), quota >= 0 {
            limits.cpuQuota = .microseconds(quota)
        }
        limits.cpuSet = try values.decodeIfPresent(CPUSet.self, forKey: .cpuSet)
        if let processes = try values.decodeIfPresent(UInt64.self, forKey: .processes) {
            limits.processes = processes == 0 ? nil : processes
        }
        limits.blockIOWeight = try values.decodeIfPresent(UInt32.self, forKey: .blockIOWeight)
        let devices = try values.decodeIfPresent([GuestLimits.Device].self, forKey: .blockIODevices) ?? []
        limits.devices = devices.map { given in
            var device = given
            device.readBytesPerSecond = given.readBytesPerSecond.flatMap { $0.bytes == 0 ? nil : $0 }
            device.writeBytesPerSecond = given.writeBytesPerSecond.flatMap { $0.bytes == 0 ? nil : $0 }
            device.readOperationsPerSecond = given.readOperationsPerSecond.flatMap { $0 == 0 ? nil : $0 }
            device.writeOperationsPerSecond = given.writeOperationsPerSecond.flatMap { $0 == 0 ? nil : $0 }
            return device
        }
        return limits
    }

    private func encodeLimits(to values: inout KeyedEncodingContainer<CodingKeys>) throws {
        try values.encodeIfPresent(limits.memory, forKey: .memory)
        try values.encodeIfPresent(limits.softMemory, forKey: .softMemory)
        try values.encodeIfPresent(limits.memoryAndSwap, forKey: .memoryAndSwap)
        try values.encodeIfPresent(limits.cpuShares, forKey: .cpuShares)
        try values.encodeIfPresent(limits.cpuPeriod?.wholeMicroseconds, forKey: .cpuPeriod)
        try values.encodeIfPresent(limits.cpuQuota?.wholeMicroseconds, forKey: .cpuQuota)
        try values.encodeIfPresent(limits.cpuSet, forKey: .cpuSet)
        // A key that is missing is the default, not no limit.
        try values.encode(limits.processes ?? 0, forKey: .processes)
        try values.encodeIfPresent(limits.blockIOWeight, forKey: .blockIOWeight)
        if !limits.devices.isEmpty { try values.encode(limits.devices, forKey: .blockIODevices) }
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
        try values.encode(cpus, forKey: .cpus)
        try encodeLimits(to: &values)
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
