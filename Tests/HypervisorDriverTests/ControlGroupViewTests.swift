// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LibvirtXML
import Testing

@testable import HypervisorDriver

/// What documents have on their way to libvirt, so that a container sees its own control groups alone.
@Suite struct ControlGroupViewTests {
    private let version1 = ControlGroupMounts(
        mountinfo: "50 48 0:30 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer")

    private func domain(_ map: IDMap?) throws -> Domain {
        var domain = Domain(
            type: .lxc, name: "web1", os: .container(initPath: "/sbin/init", arguments: ["--log", "x"]))
        domain.uuid = UUID()
        domain.idMap = map
        domain.filesystems = [Filesystem(.mount("/srv/root"), target: "/")]
        try domain.setContainerMetadata(ContainerMetadata(pool: .random(), volume: .random()))
        return domain
    }

    @Test func whereNothingCanBeGivenThePlaceIsCovered() throws {
        let domain = try domain(.standard)
        let shown = try InitLauncher.added(to: domain, version1)
        #expect(shown.os.initArguments == ["/sbin/init", "--log", "x"])
        #expect(shown.filesystems.dropFirst().map(\.target) == ["/sys/fs/cgroup", InitLauncher.program])
        #expect(try InitLauncher.added(to: shown, version1) == shown, "once is enough")
        #expect(InitLauncher.removed(from: shown) == domain)
    }

    /// The book of host ids is made before the first container, in the same directory and closed.
    @Test func containersPassWhatWasMadeClosed() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "passable-\(UUID())")
        defer { try? FileManager.default.removeItem(at: directory) }
        let path = directory.path(percentEncoded: false)
        func mode() throws -> Int? {
            try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        }
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        try InitLauncher.makePassable(path)
        #expect(try mode() == 0o711)
        try FileManager.default.removeItem(at: directory)
        try InitLauncher.makePassable(path)
        #expect(try mode() == 0o755)
    }

    @Test func whatSomebodyElseHasMadeStays() throws {
        var domain = try domain(.standard)
        domain.filesystems.append(Filesystem(.mount("/srv/groups"), target: "/sys/fs/cgroup/own"))
        let shown = try InitLauncher.added(to: domain, version1)
        #expect(shown.filesystems.dropFirst().map(\.target) == ["/sys/fs/cgroup/own", InitLauncher.program])
        try domain.setContainerMetadata(nil)
        domain.filesystems.removeLast()
        #expect(try InitLauncher.added(to: domain, version1) == domain)
    }
}
