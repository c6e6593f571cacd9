// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Trees unpacked by a user without rights, who gets what he can make and is told of the rest.
@Suite(.timeLimit(.minutes(15)), .host(.root)) struct UnprivilegedTreeTests {
    private let scratch: Scratch

    init() async throws {
        scratch = try Scratch()
        try scratch.makeDirectory("out")
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: scratch["out"])
        // Where the tool was built may be closed to others. Copied by this process it might be "busy": a program another
        // test starts meanwhile inherits what is open for writing.
        try await host("/bin/cp", Lxcctl.path, scratch["lxcctl"])
    }

    private func unpack(_ archive: String) async throws -> JSON {
        let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"]
        let command = [scratch["lxcctl"], "tree", "unpack", "--json", scratch[archive], scratch["out/\(archive)"]]
        return try await RunningProgram("/usr/bin/setpriv", nobody + command).outcome().json()
    }

    private func pack(_ script: String, to archive: String) async throws {
        let line = """
            mkdir '\(scratch["source"])' && cd '\(scratch["source"])' && \(script) && tar --format=posix --xattrs \
                --owner=65534 --group=65534 --numeric-owner -cf '\(scratch[archive])' *
            """
        try await host("/bin/sh", "-c", line)
    }

    @Test func aLinkToADeviceIsLostWithIt() async throws {
        try await pack("mknod null c 1 3 && ln null null2", to: "devices.tar")
        let summary = try await unpack("devices.tar")
        #expect(summary["losses"]["device"]["count"] == 2)
        // The archive says nothing of the directory around.
        #expect(summary["losses"]["owner"]["paths"][0] == ".")
        #expect(scratch.list("out/devices.tar") == [])
    }

    @Test func aFileItsOwnerMayNotWriteHasItsAttributes() async throws {
        try await pack("touch ro && setfattr -n user.x -v 1 ro && chmod 444 ro", to: "attributes.tar")
        let summary = try await unpack("attributes.tar")
        #expect(summary["losses"].keys == ["owner"])
        try await host("/usr/bin/getfattr", "-n", "user.x", scratch["out/attributes.tar/ro"])
    }
}
