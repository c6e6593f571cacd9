// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import LXCCore
import VifDriver

extension LXCHypervisor.SystemVMSpecification: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case name, uuid, template, pool, volume, diskSize, memory, cpus, nics, bootArguments, kernel, acceleration,
            owner,
            title
    }

    /// Reads a specification; only `name` and `template` are required. Sizes are numbers of bytes or texts such as
    /// `512MiB`.
    ///
    /// - Throws: `LXCError` `invalidArgument` for an unknown key or an invalid value.
    public init(from decoder: any Decoder) throws {
        self = try decoder.inOurWords { try Self(reading: decoder) }
    }

    private init(reading decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        try decoder.requireKeys(of: CodingKeys.self, in: "a system VM's specification")
        try self.init(
            name: values.decode(GuestName.self, forKey: .name),
            template: values.decode(TemplateID.self, forKey: .template))
        uuid = try values.decodeIfPresent(UUID.self, forKey: .uuid) ?? uuid
        volume = try values.decodeIfPresent(VolumeID.self, forKey: .volume) ?? volume
        pool = try values.decodeIfPresent(PoolID.self, forKey: .pool)
        diskSize = try ByteCount(values, .diskSize)
        memory = try ByteCount(values, .memory) ?? memory
        cpus = try values.decodeIfPresent(Int.self, forKey: .cpus) ?? cpus
        nics = NIC.numbered(try values.decodeIfPresent([NIC].self, forKey: .nics) ?? [])
        bootArguments = try values.decodeIfPresent(String.self, forKey: .bootArguments)
        kernel = try values.decodeIfPresent(Kernel.self, forKey: .kernel)
        acceleration = try values.decodeIfPresent(Acceleration.self, forKey: .acceleration)
        owner = try values.decodeIfPresent(String.self, forKey: .owner)
        title = try values.decodeIfPresent(String.self, forKey: .title)
    }

    /// Writes every key that has a value.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(name, forKey: .name)
        try values.encode(uuid.uuidString.lowercased(), forKey: .uuid)
        try values.encode(template, forKey: .template)
        try values.encode(volume, forKey: .volume)
        try values.encodeIfPresent(pool, forKey: .pool)
        try values.encodeIfPresent(diskSize, forKey: .diskSize)
        try values.encode(memory, forKey: .memory)
        try values.encode(cpus, forKey: .cpus)
        if !nics.isEmpty { try values.encode(nics, forKey: .nics) }
        try values.encodeIfPresent(bootArguments, forKey: .bootArguments)
        try values.encodeIfPresent(kernel, forKey: .kernel)
        try values.encodeIfPresent(acceleration, forKey: .acceleration)
        try values.encodeIfPresent(owner, forKey: .owner)
        try values.encodeIfPresent(title, forKey: .title)
    }
}

extension LXCHypervisor.SystemVMSpecification.Kernel: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable { case path, initialRAMDisk, arguments }

    /// Reads a kernel; only `path` is required.
    ///
    /// - Throws: `LXCError` `invalidArgument` for an unknown key or an invalid value.
    public init(from decoder: any Decoder) throws {
        self = try decoder.inOurWords { try Self(reading: decoder) }
    }

    private init(reading decoder: any Decoder) throws {
        try decoder.requireKeys(of: CodingKeys.self, in: "a kernel")
        let values = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            path: values.decode(String.self, forKey: .path),
            initialRAMDisk: values.decodeIfPresent(String.self, forKey: .initialRAMDisk),
            arguments: values.decodeIfPresent(String.self, forKey: .arguments) ?? "")
    }

    /// Writes every key that has a value.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(path, forKey: .path)
        try values.encodeIfPresent(initialRAMDisk, forKey: .initialRAMDisk)
        if !arguments.isEmpty { try values.encode(arguments, forKey: .arguments) }
    }
}
