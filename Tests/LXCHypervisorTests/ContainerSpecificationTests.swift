// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCHypervisor
import LibvirtXML
import TestSupport
import Testing

@Suite struct ContainerSpecificationTests {
    private func decode(_ json: String) throws -> ContainerSpecification {
        try JSONDecoder().decode(ContainerSpecification.self, from: Data(json.utf8))
    }

    private let template = "402b0be5-b840-3fef-b292-d330f3bf809a"

    @Test func nameAndTemplateAreEnough() throws {
        let specification = try decode(#"{"name": "web1", "template": "\#(template)"}"#)
        #expect(specification.privilege == nil)
        #expect(specification.limits.memory == .mebibytes(512))
        #expect(specification.initProcess.path == "/sbin/init")
        #expect(specification.nics.isEmpty)
    }

    @Test(arguments: [
        ("", nil as ContainerSpecification.Privilege?), (#", "privileged": null"#, nil),
        (#", "privileged": false"#, .isolated),
        (#", "privileged": true"#, .privileged),
        (#", "privileged": false, "idMap": ["0:100000:65536"]"#, .unprivileged(.standard)),
    ])
    func privilegeIsSaidOrLeftToTheHost(members: String, privilege: ContainerSpecification.Privilege?) throws {
        let specification = try decode(#"{"name": "web1", "template": "\#(template)"\#(members)}"#)
        #expect(specification.privilege == privilege)
        let again = try JSONDecoder().decode(ContainerSpecification.self, from: JSONEncoder().encode(specification))
        #expect(again == specification)
    }

    @Test func whatIsToHappenToItIsRead() throws {
        let specification = try decode(
            #"""
            {"name": "web1", "template": "\#(template)", "softMemory": "64MiB", "memoryAndSwap": 1073741824, "cpuSet": "0-1",
             "blockIOWeight": 300, "blockIODevices": [{"path": "/dev/vda", "readBytesPerSecond": 1000}],
             "stopSignal": "SIGRTMIN+3", "restart": "always", "autostart": true,
             "consoleLog": "1MiB"}
            """#)
        #expect(
            specification.limits.softMemory == .mebibytes(64) && specification.limits.memoryAndSwap == .mebibytes(1024))
        #expect(try specification.limits.cpuSet == CPUSet([0, 1]) && specification.limits.blockIOWeight == 300)
        #expect(specification.limits.devices == [.init(path: "/dev/vda", readBytesPerSecond: ByteCount(1000))])
        #expect(specification.stopSignal == .systemdHalt && specification.restart == .always)
        #expect(specification.isAutostarted && specification.consoleLog == .mebibytes(1))
        let again = try JSONDecoder().decode(ContainerSpecification.self, from: JSONEncoder().encode(specification))
        #expect(again == specification)
        let document = try specification.domain(root: "/root", pool: .random())
        #expect(document.memoryTuning.softLimit == .mebibytes(64) && document.virtualCPUs?.cpuSet == "0-1")
        #expect(try document.containerMetadata()?.stopSignal == "SIGRTMIN+3")
        #expect(try document.containerMetadata()?.restart == .always)
        #expect(try document.containerMetadata()?.consoleLog == .mebibytes(1))
        #expect(try Domain(xml: document.xml()) == document)
        for wrong in [
            #""cpuSet": "x""#, #""blockIOWeight": 5"#, #""memoryAndSwap": 1048576"#, #""cpuQuota": 5"#,
            #""consoleLog": 8191"#,
        ] {
            let error = #expect(throws: LXCError.self) {
                try decode(#"{"name": "web1", "template": "\#(template)", \#(wrong)}"#).domain(root: "/root")
            }
            #expect(error?.code == .invalidArgument, "\(wrong)")
        }
    }

    @Test func whatIsNoLimitInJSONIsNone() throws {
        let specification = try decode(
            #"""
            {"name": "web1", "template": "\#(template)", "processes": 0, "cpuQuota": -1,
             "blockIODevices": [{"path": "/dev/vda", "readBytesPerSecond": 0, "writeOperationsPerSecond": 0}]}
            """#)
        var limits = GuestLimits(memory: .mebibytes(512))
        limits.devices = [.init(path: "/dev/vda")]
        #expect(specification.limits == limits)
        #expect(try specification.domain(root: "/root", pool: .random()).containerMetadata()?.processes == 0)
        let again = try JSONDecoder().decode(ContainerSpecification.self, from: JSONEncoder().encode(specification))
        #expect(again == specification)
    }

    @Test func everyKeyIsRead() throws {
        let specification = try decode(
            #"""
            {"name": "web1", "template": "\#(template)", "uuid": "8D0BBB0A-9A4C-4A6E-8A55-0C4F0C9F8E11",
             "volume": "edb596f6-42fb-499d-8ded-8834aff52d75", "idMap": ["0:200000:1000", "1000:300000:64536"],
             "init": "/bin/x", "arguments": ["a"], "environment": {"K": "v"}, "memory": "2GiB", "cpus": 3,
             "cpuShares": 512, "cpuPeriod": 10000, "cpuQuota": 5000, "nics": [{"bridge": "br0"}, {"bridge": "br1"}],
             "owner": "alice", "title": "a title"}
            """#)
        #expect(specification.idMap?.hostUser(1000) == 300_000)
        #expect(specification.limits.memory == .gibibytes(2))
        #expect(specification.cpus == 3 && specification.limits.cpuShares == 512)
        #expect(
            specification.limits.cpuPeriod == .milliseconds(10) && specification.limits.cpuQuota == .milliseconds(5))
        #expect(specification.nics.map(\.deviceID) == [0, 1])
        let again = try JSONDecoder().decode(
            ContainerSpecification.self, from: JSONEncoder().encode(specification))
        #expect(again == specification)
    }

    @Test(arguments: [
        #"{"name": "a/b", "template": "402b0be5-b840-3fef-b292-d330f3bf809a"}"#,
        #"{"name": "a", "template": "nonsense"}"#,
        #"{"name": "a", "template": "402b0be5-b840-3fef-b292-d330f3bf809a", "memroy": 1}"#,
        #"{"name": "a", "template": "402b0be5-b840-3fef-b292-d330f3bf809a", "privileged": true, "idMap": ["0:1:1"]}"#,
        #"{"name": "a", "template": "402b0be5-b840-3fef-b292-d330f3bf809a", "memory": "lots"}"#,
        #"{"name": "a", "template": "402b0be5-b840-3fef-b292-d330f3bf809a", "nics": [{"brdige": "br0"}]}"#,
    ])
    func whatBreaksARuleIsRefused(_ json: String) {
        let error = #expect(throws: LXCError.self) { try decode(json) }
        #expect(error?.code == .invalidArgument)
    }

    /// The elements of the specification's sample document.
    @Test func theDocumentHasTheSpecificationsElements() throws {
        var specification = try decode(#"{"name": "i-2-3-VM", "template": "\#(template)", "privileged": true}"#)
        specification.volume = try VolumeID(parsing: "edb596f6-42fb-499d-8ded-8834aff52d75")
        let xml = try specification.domain(root: "/mnt/primary/edb596f6-42fb-499d-8ded-8834aff52d75").xml()
        for element in [
            #"<domain type="lxc""#, ">exe</type>", "<init>/sbin/init</init>", #"<filesystem type="mount""#,
            #"<source dir="/mnt/primary/edb596f6-42fb-499d-8ded-8834aff52d75"/>"#, #"<target dir="/"/>"#,
        ] {
            #expect(xml.contains(element) || xml.contains(element.replacing("\"", with: "'")), "\(element) in \(xml)")
        }
        #expect(!xml.contains("<idmap>"))
        try validateAgainstLibvirtSchema(xml)
    }

    @Test(arguments: ["<&>'\"", "]]>", "a\nb\tc", "\u{7F}é漢🙂"])
    func textOfEveryFieldSurvivesTheDocument(_ text: String) throws {
        var specification = ContainerSpecification(
            name: try GuestName("web1"), template: try TemplateID(parsing: template))
        // Paths and titles are lines.
        let line = text.replacing("\n", with: " ").replacing("\t", with: " ")
        specification.title = line
        specification.owner = text
        specification.initProcess = .init(path: "/\(line)", arguments: [text], environment: ["K": "plain"])
        let xml = try specification.domain(root: "/srv/\(line)", pool: .random()).xml()
        let read = try Domain(xml: xml)
        #expect(read.title == line)
        #expect(try read.containerMetadata()?.owner == text)
        #expect(read.os.initPath == "/\(line)" && read.os.initArguments == [text])
        #expect(read.os.initEnvironment.map(\.value) == ["plain"])
        #expect(read.filesystems.first?.source == .mount("/srv/\(line)"))
        try validateAgainstLibvirtSchema(xml)
    }

    @Test func ruleBreakingValuesAreNamed() throws {
        let base = ContainerSpecification(name: try GuestName("web1"), template: .random())
        var specification = base
        specification.initProcess.path = "sbin/init"
        #expect(throws: LXCError.self) { try specification.domain(root: "/r") }
        specification = base
        specification.limits.memory = ByteCount(1000)
        #expect(throws: LXCError.self) { try specification.domain(root: "/r") }
        specification = base
        specification.limits.memory = nil
        #expect(throws: LXCError.self) { try specification.domain(root: "/r") }
        specification = base
        specification.cpus = 0
        #expect(throws: LXCError.self) { try specification.domain(root: "/r") }
        specification = base
        specification.nics = [NIC(), NIC()]
        #expect(throws: LXCError.self) { try specification.domain(root: "/r") }
    }
}
