// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LinuxSystem
import TestSupport
import Testing

@testable import LXCHypervisor

/// The signal by which a container's process 1 ends is found in its root, and only there.
@Suite(.limited) struct InitProgramTests {
    private let root: ScratchDirectory

    init() throws {
        root = try ScratchDirectory()
        for folder in ["sbin", "bin", "lib/systemd", "usr/lib"] { try root.makeDirectory(folder) }
        try root.write("\u{7F}ELF", to: "lib/systemd/systemd")
        try root.write("\u{7F}ELF", to: "bin/busybox")
    }

    private func link(_ name: String, to target: String) throws {
        try FileManager.default.createSymbolicLink(atPath: root[name], withDestinationPath: target)
    }

    private func signal(_ path: String = "/sbin/init") async throws -> String? {
        let root = try ConfinedRoot(path: root.path, shown: "a container")
        return try await InitProgram.stopSignal(path, in: root)?.description
    }

    @Test(arguments: ["/lib/systemd/systemd", "../lib/systemd/systemd", "../../../lib/systemd/systemd"])
    func systemdIsFoundThroughLinks(target: String) async throws {
        try link("sbin/init", to: target)
        #expect(try await signal() == "SIGRTMIN+3")
    }

    @Test func directoriesMayBeLinksToo() async throws {
        try link("usr/sbin", to: "/sbin")
        try link("sbin/init", to: "/usr/sbin/real")
        try link("sbin/real", to: "/lib/systemd/systemd")
        #expect(try await signal("/usr/sbin/init") == "SIGRTMIN+3")
    }

    @Test func busyBoxIsTwoThings() async throws {
        try link("sbin/init", to: "/bin/busybox")
        #expect(try await signal() == "SIGUSR2")
        #expect(try await signal("/bin/busybox") == "SIGTERM", "as a shell it is a plain program")
    }

    @Test func otherInitsAndPlainPrograms() async throws {
        try root.write("\u{7F}ELF", to: "sbin/init")
        #expect(try await signal() == "SIGPWR")
        try root.write("#!/bin/sh\n", to: "sbin/init")
        #expect(try await signal() == "SIGTERM")
        try root.write("\u{7F}ELF", to: "bin/server")
        #expect(try await signal("/bin/server") == "SIGTERM")
    }

    @Test func nothingOutsideIsLookedAt() async throws {
        #expect(try await signal() == nil)
        // A host's systemd, by a path that leads out of the root if anybody follows it.
        let outside = try ScratchDirectory()
        try outside.write("\u{7F}ELF", to: "systemd")
        try link("sbin/init", to: outside["systemd"])
        #expect(try await signal() == nil)
        try link("escape", to: "../../../../../../../../..\(outside.path)")
        #expect(try await signal("/escape/systemd") == nil)
        withExtendedLifetime(outside) {}
    }

    @Test func loopsDirectoriesAndFIFOsAreNoPrograms() async throws {
        try link("sbin/init", to: "init")
        #expect(try await signal() == nil)
        #expect(try await signal("/lib") == nil)
        #expect(mkfifo(root["bin/pipe"], 0o600) == 0)
        #expect(try await signal("/bin/pipe") == nil)
    }
}
