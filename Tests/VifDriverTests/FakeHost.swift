// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LibvirtXML
import TestSupport
import Testing

/// A directory that shows network devices as sysfs does. It goes with the value.
final class FakeHost: Sendable {
    let sysfs: String
    /// Where a host has /proc/sys/net/bridge.
    var bridgeSettings: String { sysfs + "/settings" }

    /// A host without devices that filters what is bridged.
    init() throws {
        sysfs = FileManager.default.temporaryDirectory.appending(path: "sysfs-\(UUID())").path()
        for setting in ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"] {
            try addFile("settings/\(setting)", "1\n")
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: sysfs) }

    func add(device name: String) throws { try makeDirectory(name) }

    func add(bridge name: String) throws { try makeDirectory("\(name)/bridge") }

    func add(port name: String, of bridge: String, isPhysical: Bool = false) throws {
        try makeDirectory("\(name)/brport")
        try add(bridge: bridge)
        try makeDirectory("\(bridge)/brif/\(name)")
        if isPhysical { try addLink("\(name)/device") }
        try FileManager.default.createSymbolicLink(
            atPath: "\(sysfs)/\(name)/master", withDestinationPath: "../\(bridge)")
    }

    /// A file, with the directory it is in.
    func addFile(_ path: String, _ contents: String = "") throws {
        let file = URL(filePath: "\(sysfs)/\(path)")
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try contents.write(to: file, atomically: false, encoding: .utf8)
    }

    /// A link, to something that is there.
    func addLink(_ path: String) throws {
        try FileManager.default.createSymbolicLink(atPath: "\(sysfs)/\(path)", withDestinationPath: sysfs)
    }

    private func makeDirectory(_ path: String) throws {
        try FileManager.default.createDirectory(atPath: "\(sysfs)/\(path)", withIntermediateDirectories: true)
    }
}

/// The interface as a driver returned it, once libvirt's schema has accepted it in a container and in a virtual machine.
func valid(_ interface: Interface) throws -> Interface {
    var container = Domain(type: .lxc, name: "i-2-3-VM", os: .container(initPath: "/sbin/init"))
    container.interfaces = [interface]
    try validateAgainstLibvirtSchema(container.xml())
    var machine = Domain(type: .kvm, name: "r-4-VM", os: .machine())
    machine.interfaces = [interface]
    try validateAgainstLibvirtSchema(machine.xml())
    #expect(try Interface(xml: interface.xml()) == interface)
    return interface
}

/// The error `body` ends with, which has to be one of ours.
func failure<Result>(
    of body: () async throws -> Result, sourceLocation: SourceLocation = #_sourceLocation
) async -> LXCError? {
    await #expect(throws: LXCError.self, sourceLocation: sourceLocation) { _ = try await body() }
}
