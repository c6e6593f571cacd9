// SPDX-License-Identifier: Apache-2.0

import LXCCore

extension Domain {
    /// Reads a domain document.
    ///
    /// Comments, processing instructions and layout are not kept; all else is, in ``other`` where no property models
    /// it. A document may have several `<devices>`, as libvirt allows; they become one.
    ///
    /// - Throws: `LXCError` with code `corrupt` when the text is not well-formed XML (the message names the line) or
    ///   a value in it cannot be what libvirt means by it, `unsafe` when it has a DOCTYPE, `limitExceeded` beyond
    ///   4 MiB or 64 elements inside each other, `unsupported` for a hypervisor other than those of ``DomainType``.
    public init(xml text: String) throws {
        try self.init(reading: XMLFragment(xml: text))
    }

    /// Reads a domain document from UTF-8.
    ///
    /// - Throws: what ``init(xml:)-(String)`` throws; bytes that are not UTF-8 are `corrupt`.
    public init(xml bytes: some Sequence<UInt8>) throws {
        try self.init(reading: XMLFragment(xml: bytes))
    }

    private init(reading document: XMLFragment) throws {
        try document.expect("domain")
        var rest = document
        let typeName = try rest.required(rest.take("type"), "type")
        guard let type = DomainType(rawValue: typeName) else {
            throw LXCError(
                .unsupported,
                "the domain is of type \"\(typeName.escapedForDisplay)\"; only lxc, kvm, qemu and test are known")
        }
        self.init(
            type: type, name: try rest.readText("name") ?? "",
            os: try rest.read("os", OperatingSystem.init(taking:)) ?? OperatingSystem(kind: nil))
        try readIdentity(&rest)
        try readResources(&rest)
        try readBehaviour(&rest)
        rest.merge("devices")
        _ = try rest.read("devices") { try readDevices(&$0) }
        rest.sort(Self.order)
        other = rest
    }

    private mutating func readIdentity(_ rest: inout XMLFragment) throws {
        uuid = try rest.read("uuid") { try $0.takeUUID() }
        title = try rest.readText("title")
        description = try rest.readText("description")
        metadata =
            try rest.read("metadata") { metadata in
                defer { metadata.children.removeAll { if case .element = $0 { true } else { false } } }
                return metadata.elements
            } ?? []
    }

    private mutating func readResources(_ rest: inout XMLFragment) throws {
        memory = try rest.read("memory") { try $0.takeSize() }
        currentMemory = try rest.read("currentMemory") { try $0.takeSize() }
        blockIOTuning = try rest.read("blkiotune", BlockIOTuning.init(taking:)) ?? BlockIOTuning()
        memoryTuning = try rest.read("memtune", MemoryTuning.init(taking:)) ?? MemoryTuning()
        virtualCPUs = try rest.read("vcpu") { try VirtualCPUs(count: $0.takeNumber(), cpuSet: $0.take("cpuset")) }
        cpuTuning = try rest.read("cputune", CPUTuning.init(taking:)) ?? CPUTuning()
        idMap = try rest.read("idmap", IDMap.init(taking:))
    }

    private mutating func readBehaviour(_ rest: inout XMLFragment) throws {
        features = try rest.read("features", Features.init(taking:)) ?? Features()
        clock = try rest.read("clock") { $0.takeCase("offset") }
        onPowerOff = try rest.read("on_poweroff") { $0.takeCase() }
        onReboot = try rest.read("on_reboot") { $0.takeCase() }
        onCrash = try rest.read("on_crash") { $0.takeCase() }
    }

    private mutating func readDevices(_ rest: inout XMLFragment) throws {
        // An empty path is no path: CloudStack writes one on hosts that have no emulator.
        emulator = try rest.readText("emulator").flatMap { $0.isEmpty ? nil : $0 }
        disks = try rest.readEach("disk") { try Disk(reading: $0) }
        filesystems = try rest.readEach("filesystem") { try Filesystem(reading: $0) }
        interfaces = try rest.readEach("interface") { try Interface(reading: $0) }
        serials = try rest.readEach("serial") { try CharacterDevice(reading: $0) }
        consoles = try rest.readEach("console") { try CharacterDevice(reading: $0) }
        channels = try rest.readEach("channel") { try Channel(reading: $0) }
        hostDevices = try rest.readEach("hostdev") { try HostDevice(reading: $0) }
        memoryBalloon = try rest.read("memballoon") { $0.takeCase("model") }
        rest.sort(Self.deviceOrder)
    }
}
