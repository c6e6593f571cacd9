// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LibvirtXML
import TestSupport
import Testing

/// What cannot be written is refused before anything is, by an error that names the field.
@Suite(.limited) struct FieldRuleTests {
    /// A text field: the name errors use, and how to put a text there.
    struct Field: Sendable, CustomTestStringConvertible {
        let name: String
        let set: @Sendable (inout Domain, String) -> Void

        var testDescription: String { name }

        init(_ name: String, _ set: @escaping @Sendable (inout Domain, String) -> Void) {
            self.name = name
            self.set = set
        }
    }

    static let freeFields: [Field] = [
        Field("description") { $0.description = $1 },
        Field("os/initarg[2]") { $0.os.initArguments = ["a", $1] },
        Field("os/initarg") { $0.os.initArguments = [$1] },
        Field("os/initenv") { $0.os.initEnvironment = [OperatingSystem.EnvironmentVariable("A", $1)] },
        Field("os/cmdline") { $0.os.kernelCommandLine = $1 },
        Field("metadata/x@a") { $0.metadata = [fragment(attribute: $1)] },
        Field("metadata/x") { $0.metadata = [fragment(text: $1)] },
        Field("devices/interface@a") { $0.interfaces = [with(attribute: $1)] },
    ]

    static let ruledFields: [Field] = [
        Field("name") { $0.name = $1 },
        Field("title") { $0.title = $1 },
        Field("os/type@arch") { $0.os.architecture = $1 },
        Field("os/type@machine") { $0.os.machine = $1 },
        Field("os/init") { $0.os.initPath = $1 },
        Field("os/initenv@name") { $0.os.initEnvironment = [OperatingSystem.EnvironmentVariable($1, "v")] },
        Field("os/initdir") { $0.os.initDirectory = $1 },
        Field("os/inituser") { ($0.os.initUser, $0.os.initGroup) = ($1, "g") },
        Field("os/initgroup") { ($0.os.initUser, $0.os.initGroup) = ("u", $1) },
        Field("os/kernel") { $0.os.kernel = $1 },
        Field("os/initrd") { $0.os.initialRAMDisk = $1 },
        Field("vcpu@cpuset") { $0.virtualCPUs = VirtualCPUs(count: 1, cpuSet: $1) },
        Field("blkiotune/device/path") { $0.blockIOTuning.devices = [BlockIOTuning.Device(path: $1)] },
        Field("devices/emulator") { $0.emulator = $1 },
        Field("devices/filesystem/source@dir") { $0.filesystems = [Filesystem(.mount($1), target: "/")] },
        Field("devices/filesystem/source@dir") { $0.filesystems = [Filesystem(.bind($1), target: "/")] },
        Field("devices/filesystem/source@file") { $0.filesystems = [Filesystem(.file($1), target: "/")] },
        Field("devices/filesystem/source@dev") { $0.filesystems = [Filesystem(.block($1), target: "/")] },
        Field("devices/filesystem/target@dir") { $0.filesystems = [Filesystem(.mount("/"), target: $1)] },
        Field("devices/interface/source@bridge") { $0.interfaces = [Interface(.bridge($1))] },
        Field("devices/interface/source@network") { $0.interfaces = [Interface(.network($1))] },
        Field("devices/interface[2]/source@dev") {
            $0.interfaces = [Interface(.ethernet), Interface(.direct(device: $1, mode: nil))]
        },
        Field("devices/interface@type") { $0.interfaces = [Interface(.other(type: $1))] },
        Field("devices/interface/model@type") { $0.interfaces = [with(\.model, $1)] },
        Field("devices/interface/target@dev") { $0.interfaces = [with(\.targetDevice, $1)] },
        Field("devices/interface/guest@dev") { $0.interfaces = [with(\.guestDevice, $1)] },
        Field("devices/interface/filterref@filter") {
            $0.interfaces = [with(\.filter, Interface.FilterReference($1))]
        },
        Field("devices/interface/filterref/parameter@name") { $0.interfaces = [with(parameter: $1, "v")] },
        Field("devices/interface/filterref/parameter@value") { $0.interfaces = [with(parameter: "n", $1)] },
        Field("devices/interface/virtualport@type") {
            $0.interfaces = [with(\.virtualPort, Interface.VirtualPort(type: $1))]
        },
        Field("devices/disk/source@file") { $0.disks = [Disk(.file($1), target: "vda")] },
        Field("devices/disk/source@dev") { $0.disks = [Disk(.block($1), target: "vda")] },
        Field("devices/disk/target@dev") { $0.disks = [Disk(.file("/x"), target: $1)] },
        Field("devices/disk/target@bus") { $0.disks = [Disk(.file("/x"), target: "vda", bus: $1)] },
        Field("devices/console/source@path") { $0.consoles = [CharacterDevice(.pty(path: $1))] },
        Field("devices/console/target@type") { $0.consoles = [CharacterDevice(targetType: $1)] },
        Field("devices/serial/source@path") { $0.serials = [CharacterDevice(.file($1))] },
        Field("devices/channel/source@path") { $0.channels = [Channel(.unix(path: $1, mode: .bind), name: "c")] },
        Field("devices/channel/target@name") { $0.channels = [Channel(.null, name: $1)] },
        Field("devices/hostdev/source/block") { $0.hostDevices = [HostDevice(.storage($1))] },
        Field("devices/hostdev/source/char") { $0.hostDevices = [HostDevice(.character($1))] },
        Field("devices/hostdev/source/interface") { $0.hostDevices = [HostDevice(.network($1))] },
    ]

    private static func fragment(attribute: String? = nil, text: String = "") -> XMLFragment {
        var fragment = XMLFragment(XMLName("x", namespace: "urn:x", prefix: "x"), text: text)
        fragment.declarations = [XMLFragment.Declaration(prefix: "x", namespace: "urn:x")]
        if let attribute { fragment.attributes = [XMLFragment.Attribute("a", attribute)] }
        return fragment
    }

    private static func with(attribute: String) -> Interface {
        with(\.other.attributes, [XMLFragment.Attribute("a", attribute)])
    }

    private static func with(parameter name: String, _ value: String) -> Interface {
        let parameter = Interface.FilterReference.Parameter(name, value)
        return with(\.filter, Interface.FilterReference("f", parameters: [parameter]))
    }

    private static func with<Value>(_ property: WritableKeyPath<Interface, Value>, _ value: Value) -> Interface {
        var interface = Interface(.ethernet)
        interface[keyPath: property] = value
        return interface
    }

    static let unwritable = (Array(0..<0x20).filter { ![9, 10, 13].contains($0) } + [0xfffe, 0xffff])
        .compactMap { Unicode.Scalar(UInt32($0)) }

    @Test(arguments: freeFields + ruledFields) func charactersXMLCannotHoldAreRefused(_ field: Field) throws {
        for scalar in Self.unwritable {
            let error = failure { try container { field.set(&$0, "/a\(scalar)b") }.xml() }
            #expect(error?.code == .invalidArgument)
            #expect(error?.message.hasPrefix("\(field.name) ") == true, "\(error?.message ?? "no error")")
            #expect(error?.message.unicodeScalars.allSatisfy { $0.value >= 0x20 } == true)
        }
    }

    /// Text that would end its place in a document put together from pieces is refused by the field's rule, or stays
    /// the text it is: what is read back is what was written, and no element or attribute more.
    @Test(arguments: freeFields + ruledFields) func textCannotBecomeMarkup(_ field: Field) throws {
        for text in ["'/><x/>", "\"/><x y=\"", "</name><os>", "]]><x/>", "<!--", "&lt;x/&gt;", "/a'b\"c<d>&e"] {
            guard let document = try? container({ field.set(&$0, text) }).xml() else { continue }
            #expect(try Domain(xml: document) == container { field.set(&$0, text) }, "\(text)")
        }
    }

    @Test(arguments: ruledFields) func lineBreaksAndEmptyTextAreRefused(_ field: Field) throws {
        for text in ["", "/a\nb", "/a\r\nb", "\n"] {
            let error = failure { try container { field.set(&$0, text) }.xml() }
            #expect(error?.code == .invalidArgument)
            #expect(error?.message.hasPrefix("\(field.name) ") == true, "\(error?.message ?? "no error")")
        }
    }

    @Test(arguments: [".", "..", "a/b", "/", ""]) func aDomainsNameIsNoPath(_ name: String) throws {
        #expect(failure { try container { $0.name = name }.xml() }?.message.hasPrefix("name ") == true)
    }

    @Test(arguments: ["sixteen-bytes-xx", ".", "..", "a b", "a/b", "a:b", "é", "eth0\u{0}"])
    func aDeviceNameIsOneTheKernelTakes(_ name: String) throws {
        #expect(failure { try Interface(.bridge(name)).xml() }?.code == .invalidArgument)
        var interface = Interface(.ethernet)
        interface.guestDevice = name
        #expect(failure { try interface.xml() }?.code == .invalidArgument)
        #expect(try Interface(.bridge("fifteen-bytes-x")).xml().contains("fifteen-bytes-x"))
    }

    @Test(arguments: ["relative", "./x", "~", "C:\\x"]) func pathsAreAbsolute(_ path: String) throws {
        #expect(failure { try container { $0.os.initPath = path }.xml() }?.code == .invalidArgument)
        let mounted = container { $0.filesystems = [Filesystem(.mount(path), target: "/")] }
        #expect(failure { try mounted.xml() }?.code == .invalidArgument)
        let target = Filesystem(.mount("/"), target: path)
        #expect(failure { try container { $0.filesystems = [target] }.xml() }?.code == .invalidArgument)
        var machine = Domain(type: .kvm, name: "m", os: .machine())
        machine.filesystems = [target]
        #expect(try valid(machine).contains(path), "a virtual machine mounts by a word")
    }

    @Test func numbersKeepToTheirRanges() throws {
        let changes: [(String, (inout Domain) -> Void)] = [
            ("vcpu", { $0.virtualCPUs = VirtualCPUs(count: 0) }),
            ("vcpu", { $0.virtualCPUs = VirtualCPUs(count: 65536) }),
            ("cputune/period", { $0.cpuTuning.period = 999 }), ("cputune/period", { $0.cpuTuning.period = 1_000_001 }),
            ("cputune/quota", { $0.cpuTuning.quota = -2 }), ("blkiotune/weight", { $0.blockIOTuning.weight = 99 }),
            ("devices/interface/mtu@size", { $0.interfaces[0].mtu = 67 }),
            ("devices/interface/mtu@size", { $0.interfaces[0].mtu = 65536 }),
            (
                "devices/interface/bandwidth/inbound@average",
                { $0.interfaces[0].bandwidth = Interface.Bandwidth(inbound: Interface.Rate(average: 0)) }
            ),
            ("devices/console/target@port", { $0.consoles = [CharacterDevice(port: -1)] }),
        ]
        for (field, change) in changes {
            let error = failure {
                try container {
                    $0.interfaces = [Interface(.ethernet)]
                    change(&$0)
                }
                .xml()
            }
            #expect(error?.code == .invalidArgument)
            #expect(error?.message.hasPrefix("\(field) ") == true, "\(error?.message ?? "no error")")
        }
    }

    @Test(arguments: ["", "a\rb", "\r\n"]) func libvirtWouldNotPassOn(_ text: String) throws {
        let argument = failure { try container { $0.os.initArguments = ["a", text] }.xml() }
        #expect(argument?.message.hasPrefix("os/initarg[2] ") == true)
        let variable = OperatingSystem.EnvironmentVariable("A", text)
        #expect(failure { try container { $0.os.initEnvironment = [variable] }.xml() }?.code == .invalidArgument)
    }

    /// libvirt 9.0 writes the value into its own documents without escaping it, so it would become markup there.
    @Test(arguments: ["</initenv><init>/x</init>", "&lt;", "a & b", "]]>"])
    func aVariableCannotBecomeMarkupInLibvirtsDocuments(_ text: String) throws {
        let variable = OperatingSystem.EnvironmentVariable("A", text)
        let error = failure { try container { $0.os.initEnvironment = [variable] }.xml() }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.hasPrefix("os/initenv ") == true)
    }

    /// libvirt would read a tab in an attribute back as a space, and mount another directory.
    @Test func pathsHaveNoTabs() throws {
        let mounted = container { $0.filesystems = [Filesystem(.mount("/a\tb"), target: "/")] }
        #expect(failure { try mounted.xml() }?.code == .invalidArgument)
    }

    @Test func aUserNeedsAGroupBesideIt() throws {
        #expect(failure { try container { $0.os.initUser = "u" }.xml() }?.message.hasPrefix("os ") == true)
        #expect(failure { try container { $0.os.initGroup = "g" }.xml() }?.message.hasPrefix("os ") == true)
    }

    @Test func metadataNeedsNamespacesOfItsOwn() throws {
        #expect(failure { try container { $0.metadata = [XMLFragment("x")] }.xml() }?.code == .invalidArgument)
        let twice = [Self.fragment(), Self.fragment()]
        #expect(failure { try container { $0.metadata = twice }.xml() }?.code == .invalidArgument)
    }

    /// The schema check of all these tests is one that can say no.
    @Test func theSchemaRefuses() throws {
        #expect(throws: SchemaViolation.self) { try validateAgainstLibvirtSchema("<domain type='lxc'/>") }
        #expect(throws: SchemaViolation.self) { try validateAgainstLibvirtSchema("<domain") }
        #expect(throws: SchemaViolation.self) { try validateAgainstLibvirtSchema("<a/>", schema: "no-such-schema") }
    }
}
