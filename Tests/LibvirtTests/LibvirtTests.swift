// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import Libvirt
import Logging
import TestSupport
import Testing

/// A host of the test driver that no other test shares: `test:///default` is one per process.
struct TestHost: ~Copyable {
    let uri: String
    private let file: URL

    init() throws {
        file = FileManager.default.temporaryDirectory.appending(path: "libvirt-test-\(UUID().uuidString).xml")
        try "<node><cpu><mhz>1000</mhz></cpu></node>".write(to: file, atomically: true, encoding: .utf8)
        uri = "test://\(file.path)"
    }

    deinit { try? FileManager.default.removeItem(at: file) }

    func connect() async throws -> LibvirtConnection {
        try await LibvirtConnection.open(uri, logger: Logger(label: "test"))
    }
}

/// A domain the test driver accepts.
func document(_ name: String, memory: Int = 65536) -> String {
    """
    <domain type='test'><name>\(name)</name><memory unit='KiB'>\(memory)</memory><vcpu>2</vcpu>\
    <os><type>hvm</type></os></domain>
    """
}

@Suite(.limited) struct LibvirtConnectionTests {
    @Test func tellsAboutTheHost() async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        #expect(try await !connection.hostname().isEmpty)
        #expect(try await connection.libraryVersion() >= LibvirtVersion(rawValue: 9_000_000))
        #expect(try await connection.capabilitiesXML().contains("<capabilities>"))
        let node = try await connection.nodeInfo()
        #expect(node.cpus > 0)
        #expect(node.memory > .mebibytes(1))
        #expect(await connection.isAlive)
        await connection.close()
    }

    @Test func versionReadsAsPeopleWriteIt() {
        #expect(LibvirtVersion(rawValue: 9_001_002).description == "9.1.2")
        #expect(LibvirtVersion(rawValue: 9_000_000) < LibvirtVersion(rawValue: 10_000_000))
    }

    @Test(arguments: ["lxc:///nowhere?socket=/nonexistent/libvirt-sock", "nonsense://", "test:///nonexistent.xml"])
    func wrongURIIsUnavailableAndNamed(uri: String) async throws {
        let error = await expect(.unavailable) {
            _ = try await LibvirtConnection.open(uri, logger: Logger(label: "test"))
        }
        #expect(error?.message.contains(uri) == true)
        #expect(error?.cause is LibvirtError)
    }

    @Test func passwordInURIIsNotShown() async throws {
        let uri = "lxc+bogus://root:hunter2@127.0.0.1/system"
        let error = await #expect(throws: LXCError.self) {
            _ = try await LibvirtConnection.open(uri, logger: Logger(label: "test"))
        }
        #expect(error?.message.contains("hunter2") == false)
        #expect(
            LibvirtConnection(uri: uri, logger: Logger(label: "test")).displayURI == "lxc+bogus://127.0.0.1/system"
        )
    }

    @Test func opensOnFirstUse() async throws {
        let host = try TestHost()
        let connection = LibvirtConnection(uri: host.uri, logger: Logger(label: "test"))
        #expect(await !connection.isAlive)
        #expect(try await connection.domains().isEmpty)
        #expect(await connection.isAlive)
        await connection.close()
    }

    @Test func useAfterCloseIsRefusedAndCloseMayRepeat() async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        await connection.close()
        await connection.close()
        #expect(await !connection.isAlive)
        await expect(.invalidState) { _ = try await connection.domains() }
    }

    @Test func cancelledTaskStartsNothing() async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await connection.define(xml: document("late"))
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try await connection.domains().isEmpty)
        await connection.close()
    }

    @Test func twentyTasksShareAConnection() async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<20 {
                group.addTask {
                    let name = "worker-\(number)"
                    try await connection.define(xml: document(name))
                    try await connection.start(name)
                    #expect(try await connection.status(of: name).state == .running)
                    try await connection.destroy(name)
                    if number % 2 == 0 { try await connection.undefine(name) }
                }
            }
            try await group.waitForAll()
        }
        let left = try await connection.domains().map(\.identity.name).sorted()
        #expect(left == (0..<20).filter { $0 % 2 == 1 }.map { "worker-\($0)" }.sorted())
        await connection.close()
    }
}
