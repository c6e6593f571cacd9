import DomainXML
import Foundation
import LXCCore
import TestSupport
import Testing

/// A directory that shows network devices as sysfs does. It goes with the value.
final class FakeHost: Sendable {
    let sysfs: String

    init() throws {
        sysfs = FileManager.default.temporaryDirectory.appending(path: "sysfs-\(UUID())").path()
        try makeDirectory("")
    }

    deinit { try? FileManager.default.removeItem(atPath: sysfs) }

    func add(device name: String) throws { try makeDirectory(name) }

    func add(bridge name: String) throws { try makeDirectory("\(name)/bridge") }

    func add(port name: String, of bridge: String) throws {
        try makeDirectory("\(name)/brport")
        try add(bridge: bridge)
        try FileManager.default.createSymbolicLink(
            atPath: "\(sysfs)/\(name)/master", withDestinationPath: "../\(bridge)")
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
