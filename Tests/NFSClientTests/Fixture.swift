// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import NFSClient
import TestSupport
import Testing

/// A server with an exported directory, for one test.
struct Export {
    let scratch: ScratchDirectory
    let server: NFSServer

    /// The exported directory is `export` in the scratch directory.
    init(_ change: (inout NFSServer.Export) -> Void = { _ in }) throws {
        scratch = try ScratchDirectory()
        try scratch.shell("mkdir export")
        var export = NFSServer.Export(scratch("export"))
        change(&export)
        server = try NFSServer(export)
    }

    func url(_ path: String = "", parameters: String = "") throws -> NFSURL {
        try NFSURL(parsing: server.url(path, parameters: parameters))
    }

    func tree(_ name: String) throws -> NFSTree { NFSTree(try url("/\(name)")) }

    func connect(_ options: NFSClientOptions = NFSClientOptions()) async throws -> NFSClient {
        try await NFSClient.connect(to: url(), options: options)
    }

    /// The names in the exported directory, hidden ones too.
    func list() throws -> String { try scratch.shell("ls -A export") }
}

/// Before one server, with a proxy for each of its services.
struct ProxiedExport {
    let export: Export
    let nfs: FaultyProxy
    private let mount: FaultyProxy

    init() throws {
        export = try Export()
        nfs = try FaultyProxy(to: export.server.address, port: NFSServer.port)
        mount = try FaultyProxy(to: export.server.address, port: NFSServer.mountPort)
    }

    func url(_ path: String = "") throws -> NFSURL {
        try NFSURL(parsing: "nfs://127.0.0.1/export\(path)?nfsport=\(nfs.port)&mountport=\(mount.port)")
    }

    /// Waits until a reply was lost since there were so many lost bytes.
    func waitForLoss(since bytes: Int) async throws {
        while nfs.lostBytes == bytes { try await Task.sleep(for: .milliseconds(10)) }
    }

    /// Options under which lost replies are noticed soon.
    static var impatient: NFSClientOptions {
        var options = NFSClientOptions()
        options.callTimeout = .milliseconds(700)
        options.giveUp = .seconds(60)
        return options
    }
}

/// The status a server refused something with; nil when it did not.
func statusThrown<Value>(by body: () async throws -> Value) async -> NFSStatus? {
    do {
        _ = try await body()
        return nil
    } catch {
        return ((error as? LXCError)?.cause as? NFSError)?.status
    }
}
