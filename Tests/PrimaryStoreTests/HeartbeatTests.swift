// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import PrimaryStore
import TestSupport
import Testing

/// CloudStack's heartbeat files.
@Suite(.limited) struct HeartbeatTests {
    private static func checkBeats(
        _ store: any HeartbeatStore, seen file: (String) throws -> [UInt8], made: (String) throws -> Void
    ) async throws {
        #expect(try await store.heartbeat(of: "10.1.2.3") == nil)
        try await store.writeHeartbeat(of: "10.1.2.3", at: Date(timeIntervalSince1970: 1_700_000_000.9))
        #expect(try file("KVMHA/hb-10.1.2.3") == Array("1700000000\n".utf8), "what `date +%s` writes")
        try await store.writeHeartbeat(of: "10.1.2.3", at: Date(timeIntervalSince1970: 1_700_000_060))
        #expect(try await store.heartbeat(of: "10.1.2.3") == Date(timeIntervalSince1970: 1_700_000_060))
        #expect(try await store.contents().volumes.isEmpty, "the directory is nobody's volume")
        try made("KVMHA/hb-10.1.2.4")
        #expect(try await store.heartbeat(of: "10.1.2.4") == Date(timeIntervalSince1970: 5))
        for address in ["", "../x", "a/b", "host"] {
            await expect(.invalidArgument) { try await store.writeHeartbeat(of: address, at: Date()) }
        }
    }

    @Test func inADirectory() async throws {
        let fixture = try await Fixture()
        try await Self.checkBeats(fixture.store, seen: fixture.directory.read) { name in
            try fixture.directory.write("5\n", to: name)
        }
    }

    @Test func inADirectoryThatCloudStackMade() async throws {
        let fixture = try await Fixture()
        try fixture.directory.makeDirectory("KVMHA")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: fixture.directory["KVMHA"])
        try await fixture.store.writeHeartbeat(of: "fe80::1", at: Date(timeIntervalSince1970: 7))
        #expect(try fixture.directory.read("KVMHA/hb-fe80::1") == Array("7\n".utf8))
    }

    @Test func whatIsNoTimeIsSaidToBeDamaged() async throws {
        let fixture = try await Fixture()
        try fixture.directory.write("soon\n", to: "KVMHA/hb-10.1.2.3")
        await expect(.corrupt) { try await fixture.store.heartbeat(of: "10.1.2.3") }
    }

    @Test(.host(.root, .nfsServer)) func onAnNFSServer() async throws {
        let fixture = try NFSStoreTests.Fixture()
        let store = try await fixture.store()
        let export = fixture.scratch("export")
        try await Self.checkBeats(
            store, seen: { try Array(Data(contentsOf: URL(filePath: "\(export)/\($0)"))) },
            made: { try Data("5\n".utf8).write(to: URL(filePath: "\(export)/\($0)")) })
    }
}
