// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LibvirtXML

/// Makes domains of every shape the model has, from a seed.
struct DomainGenerator {
    private var random: SeededGenerator

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func domain() throws -> Domain {
        let isContainer = chance()
        var domain = Domain(
            type: isContainer ? .lxc : pick([.kvm, .qemu, .test]), name: line().without("/", "\t"),
            os: isContainer ? containerSystem() : machineSystem())
        domain.uuid = maybe { $0.uuid() }
        domain.title = maybe { $0.line() }
        domain.description = maybe { $0.text() }
        domain.metadata = maybe { $0.metadata() } ?? []
        if isContainer { try domain.setContainerMetadata(maybe { $0.containerMetadata() }) }
        domain.memory = maybe { $0.size() }
        domain.currentMemory = maybe { $0.size() }
        domain.blockIOTuning = blockIOTuning()
        domain.memoryTuning = MemoryTuning(
            hardLimit: maybe { $0.size() }, softLimit: maybe { $0.size() }, swapHardLimit: maybe { $0.size() })
        domain.virtualCPUs = maybe {
            VirtualCPUs(count: $0.number(1...65535), cpuSet: $0.maybe { $0.pick(["0", "0-3,^2,8", "1,2,3"]) })
        }
        domain.cpuTuning = CPUTuning(
            shares: maybe { $0.number(1...262_144) }, period: maybe { $0.number(1000...1_000_000) },
            quota: maybe { $0.number(-1...17_592_186_044_415) })
        domain.idMap = try maybe { try IDMap(host: $0.number(1...100_000), count: $0.number(1...65536)) }
        domain.features = features()
        domain.clock = maybe { $0.pick(ClockOffset.allCases) }
        domain.onPowerOff = maybe { $0.pick(LifecycleAction.allCases) }
        domain.onReboot = maybe { $0.pick(LifecycleAction.allCases) }
        domain.onCrash = maybe { $0.pick(CrashAction.allCases) }
        try addDevices(to: &domain)
        return domain
    }

    private mutating func addDevices(to domain: inout Domain) throws {
        domain.emulator = maybe { $0.path() }
        domain.disks = several { $0.disk() }
        domain.filesystems = several { $0.filesystem() }
        domain.interfaces = try several { try $0.interface() }
        domain.serials = several { CharacterDevice($0.characterSource(), port: $0.maybe { $0.number(0...9) }) }
        domain.consoles = several { generator in
            var console = CharacterDevice(
                generator.characterSource(), targetType: generator.maybe { $0.pick(["lxc", "serial", "virtio"]) },
                port: generator.maybe { $0.number(0...65535) })
            console.alias = generator.maybe { "console\($0.number(0...9))" }
            return console
        }
        domain.channels = several { Channel($0.characterSource(), name: $0.line()) }
        domain.hostDevices = several { generator in
            let path = generator.path()
            return HostDevice(generator.pick([.storage(path), .character(path), .network(generator.device())]))
        }
        domain.memoryBalloon = maybe { $0.pick(MemoryBalloonModel.allCases) }
    }

    private mutating func containerSystem() -> OperatingSystem {
        var os = OperatingSystem(kind: .executable, architecture: maybe { $0.pick(["x86_64", "aarch64", "i686"]) })
        os.initPath = maybe { $0.path() }
        os.initArguments = several { "-" + $0.text().without("\r") }
        os.initEnvironment = several {
            OperatingSystem.EnvironmentVariable(
                $0.pick(["PATH", "_", "a1"]), " " + $0.text().without("\r", "<", "&", ">"))
        }
        os.initDirectory = maybe { $0.path() }
        if chance() { (os.initUser, os.initGroup) = (pick(["root", "1000", "+0"]), pick(["wheel", "0"])) }
        return os
    }

    private mutating func machineSystem() -> OperatingSystem {
        var os = OperatingSystem.machine(
            architecture: maybe { $0.pick(["x86_64", "s390x"]) }, machine: maybe { $0.pick(["q35", "pc-i440fx-9.0"]) },
            bootDevices: several { $0.pick(OperatingSystem.BootDevice.allCases) })
        os.kernel = maybe { $0.path() }
        os.initialRAMDisk = maybe { $0.path() }
        os.kernelCommandLine = maybe { $0.text() }
        return os
    }

    private mutating func features() -> Features {
        Features(
            acpi: chance(), apic: chance(), pae: chance(), privateNetwork: chance(),
            capabilities: maybe { generator in
                var capabilities = Features.Capabilities(
                    policy: generator.pick(Features.Capabilities.Policy.allCases))
                for capability in Capability.allCases {
                    capabilities.changes[capability] = generator.maybe { $0.chance() }
                }
                return capabilities
            })
    }

    private mutating func blockIOTuning() -> BlockIOTuning {
        BlockIOTuning(
            weight: maybe { $0.number(100...1000) },
            devices: several { generator in
                var device = BlockIOTuning.Device(path: generator.path())
                device.weight = generator.maybe { $0.number(100...1000) }
                device.readBytesPerSecond = generator.maybe { $0.number(0...UInt64.max) }
                device.writeBytesPerSecond = generator.maybe { $0.number(0...UInt64.max) }
                device.readOperationsPerSecond = generator.maybe { $0.number(0...UInt32.max) }
                device.writeOperationsPerSecond = generator.maybe { $0.number(0...UInt32.max) }
                return device
            })
    }

    private mutating func disk() -> Disk {
        let path: String? = maybe { $0.path() }
        var disk = Disk(
            chance() ? .file(path) : .block(path), target: pick(["vda", "sdz", "hdc"]),
            bus: maybe { $0.pick(["virtio", "ide"]) }, device: pick([.disk, .cdrom, .floppy]))
        disk.driverName = maybe { _ in "qemu" }
        disk.format = disk.driverName == nil ? nil : maybe { $0.pick(["raw", "qcow2"]) }
        disk.isReadOnly = chance()
        disk.serial = maybe { $0.pick(["0123abc", "A B.c_+-"]) }
        disk.bootOrder = maybe { $0.number(1...99) }
        return disk
    }

    private mutating func filesystem() -> Filesystem {
        let path = path()
        let source: Filesystem.Source = pick([
            .mount(path), .bind(path), .file(path), .block(path), .ram(size()), .mount("/"),
        ])
        var filesystem = Filesystem(source, target: self.path(), isReadOnly: chance())
        filesystem.accessMode = maybe { $0.pick(Filesystem.AccessMode.allCases) }
        return filesystem
    }

    private mutating func interface() throws -> Interface {
        var interface = Interface(
            pick([
                .bridge(device()), .network(line().without("/", "\t")), .ethernet,
                .direct(device: device(), mode: maybe { $0.pick(Interface.DirectMode.allCases) }),
            ]), mac: try maybe { try MACAddress(value: $0.number(0x2_0000_0000...0xff_ffff_ffff)) })
        interface.model = maybe { $0.pick(["virtio", "e1000"]) }
        interface.targetDevice = maybe { $0.device() }
        interface.guestDevice = maybe { $0.device() }
        interface.mtu = maybe { $0.number(68...65535) }
        interface.linkState = maybe { $0.pick(Interface.LinkState.allCases) }
        interface.filter = maybe { generator in
            Interface.FilterReference(
                "clean-traffic",
                parameters: generator.several {
                    Interface.FilterReference.Parameter("IP", $0.pick(["10.1.2.3", "::1"]))
                })
        }
        interface.bandwidth = maybe { generator in
            Interface.Bandwidth(inbound: generator.rate(), outbound: generator.maybe { $0.rate() })
        }
        interface.isPortIsolated = chance()
        if case .bridge = interface.kind {
            interface.virtualPort = maybe { generator in
                Interface.VirtualPort(type: "openvswitch", interfaceID: generator.maybe { $0.uuid() })
            }
        }
        return interface
    }

    private mutating func rate() -> Interface.Rate {
        Interface.Rate(
            average: number(1...UInt32.max), peak: maybe { $0.number(1...UInt32.max) },
            burst: maybe { $0.number(1...UInt32.max) })
    }

    private mutating func characterSource() -> CharacterDevice.Source {
        let path = path()
        return pick([
            .pty(path: nil), .pty(path: path), .unix(path: path, mode: maybe { $0.pick([.bind, .connect]) }),
            .unix(path: nil, mode: nil), .file(path), .null,
        ])
    }

    private mutating func metadata() -> [XMLFragment] {
        let name = { (local: String) in XMLName(local, namespace: "urn:example:app", prefix: "app") }
        let declaration = XMLFragment.Declaration(prefix: "app", namespace: "urn:example:app")
        return [
            XMLFragment(
                name("state"), declarations: [declaration], attributes: [XMLFragment.Attribute("note", text())],
                children: [.element(XMLFragment(name("part"), text: text()))])
        ]
    }

    private mutating func containerMetadata() -> ContainerMetadata {
        ContainerMetadata(
            pool: PoolID(uuid()), volume: VolumeID(uuid()), template: maybe { TemplateID($0.uuid()) },
            owner: maybe { $0.text() })
    }
}

/// The material.
extension DomainGenerator {
    private mutating func chance() -> Bool { Bool.random(using: &random) }

    private mutating func maybe<Value>(_ make: (inout Self) throws -> Value) rethrows -> Value? {
        chance() ? try make(&self) : nil
    }

    private mutating func several<Value>(_ make: (inout Self) throws -> Value) rethrows -> [Value] {
        var values: [Value] = []
        for _ in 0..<Int.random(in: 0...2, using: &random) { try values.append(make(&self)) }
        return values
    }

    private mutating func number<Value: FixedWidthInteger>(_ range: ClosedRange<Value>) -> Value {
        Value.random(in: range, using: &random)
    }

    private mutating func pick<Value>(_ values: [Value]) -> Value { values[number(0...values.count - 1)] }

    private mutating func uuid() -> UUID {
        let (high, low) = (random.next(), random.next())
        let bytes = [high, low].flatMap { word in
            stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> UInt64($0)) }
        }
        return bytes.withUnsafeBytes { UUID(uuid: $0.loadUnaligned(as: uuid_t.self)) }
    }

    private mutating func size() -> ByteCount { .kibibytes(number(0...1 << 50)) }

    private mutating func device() -> String { pick(["eth0", "br-lan", "cloudbr0.100", "a", "x23456789012345"]) }

    private mutating func path() -> String { "/" + line().without("\t") }

    private mutating func line() -> String { "x" + text().without("\n", "\r") }

    /// Text of all that XML treats in a special way.
    private mutating func text() -> String {
        let parts = [
            "<", ">", "&", "'", "\"", "]]>", "<![CDATA[", "&amp;", "&#0;", "<!-- -->", "\n", "\r", "\r\n", "\t", " ",
            "é", "e\u{301}", "😀", "\u{85}", "\u{2028}", "\u{fffd}", "\u{10ffff}", "\u{feff}", "a", "/", "%s", "\\",
        ]
        return (0..<number(0...6)).map { _ in pick(parts) }.joined()
    }
}

extension String {
    fileprivate func without(_ scalars: Unicode.Scalar...) -> String {
        String(String.UnicodeScalarView(unicodeScalars.filter { !scalars.contains($0) }))
    }
}
