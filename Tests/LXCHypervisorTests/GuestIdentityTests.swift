// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import LXCHypervisor
import LinuxSystem
import Testing

/// What is written into a new volume, and what is refused.
@Suite struct GuestIdentityTests {
    private let directory = NSTemporaryDirectory() + "identity-\(UUID().uuidString)"

    private func write(_ identity: GuestIdentity, over files: [String: String] = [:]) throws {
        for (path, text) in files {
            let url = URL(filePath: "\(directory)/\(path)")
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
        }
        var specification = ContainerSpecification(
            name: try GuestName("web1"), template: .random(),
            // The test may be anybody: its own ids are the container's root.
            privilege: .unprivileged(
                try IDMap(
                    users: [.init(container: 0, host: geteuid(), count: 1)],
                    groups: [.init(container: 0, host: getegid(), count: 1)])))
        specification.identity = identity
        let root = try ConfinedRoot(path: directory, shown: "the test")
        // Where nothing confines, this would change the identity of the host.
        try #require(try root.status("/proc/version") == nil)
        try IdentityWriter(identity: identity, specification: specification, root: root).write()
    }

    private func text(_ path: String) -> String? {
        FileManager.default.contents(atPath: "\(directory)/\(path)").map { String(decoding: $0, as: UTF8.self) }
    }

    private func mode(_ path: String) -> Int? {
        try? FileManager.default.attributesOfItem(atPath: "\(directory)/\(path)")[.posixPermissions] as? Int
    }

    private func cleanUp() { try? FileManager.default.removeItem(atPath: directory) }

    @Test func aCloneIsNotItsTemplate() throws {
        defer { cleanUp() }
        try write(
            GuestIdentity(),
            over: [
                "etc/hostname": "template\n", "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 template\n::1 localhost\n",
                "etc/machine-id": "0123456789abcdef0123456789abcdef\n", "var/lib/dbus/machine-id": "0123\n",
                "etc/ssh/ssh_host_rsa_key": "old", "etc/ssh/ssh_host_rsa_key.pub": "old",
                "etc/ssh/sshd_config": "Port 22\n",
            ])
        #expect(text("etc/hostname") == "web1\n")
        #expect(text("etc/hosts") == "127.0.0.1 localhost\n::1 localhost\n127.0.1.1\tweb1\n")
        #expect(text("etc/machine-id") == "")
        #expect(text("var/lib/dbus/machine-id") == nil)
        #expect(text("etc/ssh/ssh_host_rsa_key") == nil)
        #expect(text("etc/ssh/sshd_config") == "Port 22\n")
        #expect(text("etc/ssh/ssh_host_ed25519_key.pub")?.hasPrefix("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI") == true)
        #expect(mode("etc/ssh/ssh_host_ed25519_key") == 0o600)
        #expect(text("etc/resolv.conf") == nil)
    }

    @Test func whatARootHasNoPlaceForIsLeftOut() throws {
        defer { cleanUp() }
        try write(GuestIdentity(), over: ["bin/sh": ""])
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["bin"])
    }

    @Test func whatIsAskedForAndHasNoPlaceIsAnError() throws {
        defer { cleanUp() }
        let wishes: [(inout GuestIdentity) -> Void] = [
            { $0.networks = [.init(device: "eth0")] }, { $0.nameServers = ["192.0.2.1"] }, { $0.hostName = "web" },
        ]
        for wish in wishes {
            var identity = GuestIdentity()
            wish(&identity)
            let error = #expect(throws: LXCError.self) { try write(identity, over: ["bin/sh": ""]) }
            #expect(error?.code == .unsupported && error?.message.contains("web1") == true)
        }
    }

    @Test func anEtcHostsThatIsNoFileOrVeryLargeDoesNotFailTheCreation() throws {
        defer { cleanUp() }
        let fresh = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\tweb1\n"
        try FileManager.default.createDirectory(atPath: "\(directory)/etc", withIntermediateDirectories: true)
        try #require(mkfifo("\(directory)/etc/hosts", 0o644) == 0)
        try write(GuestIdentity())
        #expect(text("etc/hosts") == fresh)

        let list = String(repeating: "0.0.0.0 advertisement.example.org\n", count: 60_000)
        try write(GuestIdentity(), over: ["etc/hosts": "127.0.1.1 template\n" + list])
        #expect(text("etc/hosts") == list + "127.0.1.1\tweb1\n")

        let huge = String(repeating: "x", count: 17 << 20)
        try write(GuestIdentity(), over: ["etc/hosts": huge])
        #expect(text("etc/hosts") == huge)

        try FileManager.default.removeItem(atPath: "\(directory)/etc/hosts")
        try FileManager.default.createSymbolicLink(
            atPath: "\(directory)/etc/hosts", withDestinationPath: "/nowhere/hosts")
        try write(GuestIdentity())
        #expect(text("etc/hosts") == fresh)
    }

    @Test func everythingThatIsAskedForIsWritten() throws {
        defer { cleanUp() }
        var identity = GuestIdentity()
        identity.hostName = "web.example.org"
        identity.nameServers = ["192.0.2.1", "2001:db8::1"]
        identity.searchDomains = ["example.org"]
        identity.authorizedKeys = ["ssh-ed25519 AAAA me", "ssh-ed25519 BBBB you"]
        identity.networks = [
            .init(
                device: "eth0", addresses: ["192.0.2.7/24", "2001:db8::7/64"], gateways: ["192.0.2.1", "2001:db8::1"]),
            .init(device: "eth1"),
        ]
        identity.cloudInit = .init(networkConfig: "version: 2\n")
        identity.resetsMachineID = false
        try write(
            identity,
            over: [
                "etc/machine-id": "kept\n", "etc/systemd/network/.keep": "", "etc/network/interfaces": "old",
                "root/.keep": "",
            ])
        #expect(text("etc/hostname") == "web.example.org\n")
        #expect(text("etc/hosts")?.hasSuffix("127.0.1.1\tweb.example.org web\n") == true)
        #expect(text("etc/resolv.conf") == "nameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch example.org\n")
        #expect(text("etc/machine-id") == "kept\n")
        #expect(text("root/.ssh/authorized_keys") == "ssh-ed25519 AAAA me\nssh-ed25519 BBBB you\n")
        #expect((mode("root/.ssh"), mode("root/.ssh/authorized_keys")) == (0o700, 0o600))
        #expect(
            text("etc/systemd/network/10-lxc-eth0.network") == """
                [Match]
                Name=eth0

                [Network]
                Address=192.0.2.7/24
                Address=2001:db8::7/64
                Gateway=192.0.2.1
                Gateway=2001:db8::1

                """)
        #expect(text("etc/systemd/network/10-lxc-eth1.network")?.contains("DHCP=yes") == true)
        #expect(
            text("etc/network/interfaces") == """
                auto lo
                iface lo inet loopback

                auto eth0
                iface eth0 inet static
                    address 192.0.2.7/24
                    gateway 192.0.2.1
                iface eth0 inet6 static
                    address 2001:db8::7/64
                    gateway 2001:db8::1

                auto eth1
                iface eth1 inet dhcp

                """)
        #expect(text("var/lib/cloud/seed/nocloud/meta-data")?.hasSuffix("local-hostname: web.example.org\n") == true)
        #expect(text("var/lib/cloud/seed/nocloud/user-data") == "#cloud-config\n")
        #expect(text("var/lib/cloud/seed/nocloud/network-config") == "version: 2\n")
        #expect(mode("var/lib/cloud/seed/nocloud") == 0o700)
    }

    /// A key ssh-keygen has made, and what it made of it.
    @Test func aHostKeyIsWrittenAsOpenSSHDoes() throws {
        let seed: [UInt8] = [
            0x68, 0xb2, 0x55, 0xda, 0x33, 0x12, 0x9c, 0x84, 0x39, 0xf2, 0x25, 0x7d, 0x88, 0xc3, 0x7c, 0x9a, 0x6e, 0x28,
            0xee, 0x09, 0xd7, 0x65, 0x84, 0xa9, 0x06, 0x91, 0xe7, 0x8f, 0x3b, 0x57, 0x5a, 0x45,
        ]
        let key = try SSHHostKey(seed: seed, comment: "root@web1", check: 0x5816_eb2f)
        #expect(
            key.publicText
                == "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIESJkEy0A923aCbfCJxmbhDF3vfmO+Xd+Q7KtGtZcK5S root@web1\n")
        #expect(
            key.privateText == """
                -----BEGIN OPENSSH PRIVATE KEY-----
                b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
                QyNTUxOQAAACBEiZBMtAPdt2gm3wicZm4Qxd735jvl3fkOyrRrWXCuUgAAAJBYFusvWBbr
                LwAAAAtzc2gtZWQyNTUxOQAAACBEiZBMtAPdt2gm3wicZm4Qxd735jvl3fkOyrRrWXCuUg
                AAAEBoslXaMxKchDnyJX2Iw3yabijuCddlhKkGkeePO1daRUSJkEy0A923aCbfCJxmbhDF
                3vfmO+Xd+Q7KtGtZcK5SAAAACXJvb3RAd2ViMQECAwQ=
                -----END OPENSSH PRIVATE KEY-----

                """)
    }

    /// Links of a template lead nowhere but inside.
    @Test func aHostileTemplateGetsNothingOutside() throws {
        defer { cleanUp() }
        let outside = directory + "-outside"
        defer { try? FileManager.default.removeItem(atPath: outside) }
        try FileManager.default.createDirectory(atPath: outside, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: "\(directory)/etc", withIntermediateDirectories: true)
        for (name, target) in [("etc/hostname", "\(outside)/hostname"), ("etc/ssh", outside), ("root", outside)] {
            try FileManager.default.createSymbolicLink(atPath: "\(directory)/\(name)", withDestinationPath: target)
        }
        var identity = GuestIdentity()
        identity.authorizedKeys = ["ssh-ed25519 AAAA me"]
        #expect(throws: LXCError.self) { try write(identity) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: outside) == [])
        #expect(text("etc/hostname") == "web1\n")
    }

    @Test(arguments: [
        ("hostName", "a\nb"), ("hostName", "-a"), ("hostName", "a_b"), ("hostName", ""), ("nameServer", "192.0.2"),
        ("nameServer", "192.0.2.1\nsearch x"), ("domain", "a b"), ("key", "a\nb"), ("key", ""), ("device", "eth0\n"),
        ("device", "a-name-too-long-for-it"), ("address", "192.0.2.1"), ("address", "192.0.2.1/33"),
        ("address", "2001:db8::1/129"), ("gateway", "router"),
    ])
    func badValuesAreRefused(what: String, value: String) throws {
        var identity = GuestIdentity()
        switch what {
        case "hostName": identity.hostName = value
        case "nameServer": identity.nameServers = [value]
        case "domain": identity.searchDomains = [value]
        case "key": identity.authorizedKeys = [value]
        case "device": identity.networks = [.init(device: value)]
        case "address": identity.networks = [.init(device: "eth0", addresses: [value])]
        default: identity.networks = [.init(device: "eth0", gateways: [value])]
        }
        let error = #expect(throws: LXCError.self) { try identity.check() }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains("\"\(value.escapedForDisplay)\"") == true)
    }

    @Test func anIdentitySurvivesJSON() throws {
        var identity = GuestIdentity()
        identity.networks = [.init(device: "eth0", addresses: ["192.0.2.7/24"])]
        identity.cloudInit = .init()
        var specification = ContainerSpecification(name: try GuestName("web1"), template: .random())
        for value in [identity, nil, GuestIdentity()] {
            specification.identity = value
            let data = try JSONEncoder().encode(specification)
            #expect(try JSONDecoder().decode(ContainerSpecification.self, from: data) == specification)
        }
        #expect(throws: LXCError.self) {
            try JSONDecoder().decode(GuestIdentity.self, from: Data(#"{"hostname": "x"}"#.utf8))
        }
    }
}
