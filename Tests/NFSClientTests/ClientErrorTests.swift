// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import Glibc
import LXCCore
import NFSClient
import TestSupport
import Testing

@Suite(.limited) struct NFSStatusTests {
    @Test(arguments: [
        (0, "NFS3_OK"), (1, "NFS3ERR_PERM"), (2, "NFS3ERR_NOENT"), (5, "NFS3ERR_IO"), (6, "NFS3ERR_NXIO"),
        (13, "NFS3ERR_ACCES"), (17, "NFS3ERR_EXIST"), (18, "NFS3ERR_XDEV"), (19, "NFS3ERR_NODEV"),
        (20, "NFS3ERR_NOTDIR"), (21, "NFS3ERR_ISDIR"), (22, "NFS3ERR_INVAL"), (27, "NFS3ERR_FBIG"),
        (28, "NFS3ERR_NOSPC"), (30, "NFS3ERR_ROFS"), (31, "NFS3ERR_MLINK"), (63, "NFS3ERR_NAMETOOLONG"),
        (66, "NFS3ERR_NOTEMPTY"), (69, "NFS3ERR_DQUOT"), (70, "NFS3ERR_STALE"), (71, "NFS3ERR_REMOTE"),
        (10_001, "NFS3ERR_BADHANDLE"), (10_002, "NFS3ERR_NOT_SYNC"), (10_003, "NFS3ERR_BAD_COOKIE"),
        (10_004, "NFS3ERR_NOTSUPP"), (10_005, "NFS3ERR_TOOSMALL"), (10_006, "NFS3ERR_SERVERFAULT"),
        (10_007, "NFS3ERR_BADTYPE"), (10_008, "NFS3ERR_JUKEBOX"), (4_711, "NFS status 4711"),
    ])
    func hasTheNameOfTheRFC(_ number: UInt32, _ name: String) {
        #expect(NFSStatus(rawValue: number).description == name)
        #expect(NFSError("CREATE", NFSStatus(rawValue: number)).description == "CREATE: \(name)")
    }
}

@Suite(.tags(.host, .nfs), .limited, .host(.root, .nfsServer)) struct ClientErrorTests {
    private let export: Export

    init() throws { export = try Export() }

    @Test func errorsNameStatusProcedureAndPath() async throws {
        try export.scratch.shell("mkdir export/d; touch export/d/f export/g")
        let client = try await export.connect()
        let directory = try await client.lookUp("d".utf8, in: client.root).handle
        let file = try await client.lookUp("f".utf8, in: directory).handle
        let error = await expect(.alreadyExists) {
            try await client.create("f".utf8, in: directory, .guarded(NFSNewAttributes()))
        }
        #expect(error?.description.contains("\"d/f\"") == true)
        #expect(error?.description.hasSuffix("(CREATE: NFS3ERR_EXIST)") == true)
        #expect(await statusThrown { try await client.lookUp("x".utf8, in: directory) } == .noEntry)
        #expect(await statusThrown { try await client.lookUp("x".utf8, in: file) } == .notDirectory)
        #expect(await statusThrown { try await client.removeDirectory("d".utf8, in: client.root) } == .notEmpty)
        #expect(await statusThrown { try await client.read(directory, at: 0, count: 1) } != nil)
        let long = [UInt8](repeating: 97, count: 300)
        #expect(
            await statusThrown { try await client.create(long, in: directory, .guarded(.init())) }?.description
                == "NFS3ERR_NAMETOOLONG")
        try await client.remove("f".utf8, in: directory)
        await expect(.notFound) { try await client.attributes(of: file) }
    }

    @Test(arguments: ["", ".", "..", "a/b", "/", "a\0b"])
    func refusesWhatIsNoName(_ name: String) async throws {
        let client = try await export.connect()
        await expect(.invalidArgument) { try await client.lookUp(name.utf8, in: client.root) }
        await expect(.invalidArgument) { try await client.create(name.utf8, in: client.root, .guarded(.init())) }
        await expect(.invalidArgument) { try await client.remove(name.utf8, in: client.root) }
    }

    @Test func aHandleThatIsNoneIsAnError() async throws {
        let client = try await export.connect()
        await expect(.io, .notFound) { try await client.attributes(of: NFSHandle(bytes: [1, 2, 3])) }
    }

    @Test func whatIsNotExportedIsNotMounted() async throws {
        let url = try NFSURL(
            parsing: "nfs://\(export.server.address)/other?nfsport=2049&mountport=20048")
        await expect(.notFound, .permissionDenied) { try await NFSClient.connect(to: url) }
        await expect(.notFound) { try await NFSClient.connect(to: export.url("/missing")) }
        try export.scratch.shell("touch export/file")
        await expect(.invalidArgument) { try await NFSClient.connect(to: export.url("/file")) }
    }

    @Test func nobodyListensThere() async throws {
        let url = try NFSURL(parsing: "nfs://127.0.0.1/x?nfsport=1&mountport=1")
        var options = NFSClientOptions()
        options.giveUp = .seconds(1)
        await expect(.unavailable) { [options] in try await NFSClient.connect(to: url, options: options) }
    }

    @Test func aReadOnlyExportSaysSo() async throws {
        let export = try Export { $0.isReadOnly = true }
        let client = try await export.connect()
        let status = await statusThrown { try await client.create("f".utf8, in: client.root, .guarded(.init())) }
        #expect(status == .readOnly)
        let code = await codeThrown { try await NFSTree(export.url("/t")).remove() }
        #expect(code == nil)
    }

    /// A port nobody listens on, and one that takes connections and says nothing.
    @Test(arguments: [3, 4]) func aServerThatIsNotThereIsGivenUp(_ version: Int) async throws {
        for port in [1, try SilentListener.shared.get().port] {
            let url = try NFSURL(parsing: "nfs://127.0.0.1/x?nfsport=\(port)&mountport=\(port)&version=\(version)")
            let start = ContinuousClock.now
            await expect(.unavailable) { try await NFSClient.connect(to: url) }
            #expect(ContinuousClock.now - start < .seconds(25))
            let task = Task { try await NFSClient.connect(to: url) }
            try await Task.sleep(for: .milliseconds(200))
            let cancelled = ContinuousClock.now
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(ContinuousClock.now - cancelled < .seconds(5))
        }
    }
}

/// Takes connections, and never says anything.
private final class SilentListener: Sendable {
    static let shared = Result { try SilentListener() }
    let port: UInt16

    private init() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 64) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard isBound else { throw CocoaError(.fileReadUnknown) }
        port = UInt16(bigEndian: address.sin_port)
    }
}
