// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Testing
import _LXCTestServers

/// Stores on an NFS server, by URL: two places of one export.
@Suite(.timeLimit(.minutes(15)), .host(.root, .nfsServer), .serialized) struct StoreNFSTests {
    private let scratch: Scratch
    private let server: NFSServer
    private let primary: [String]
    private let secondary: [String]

    init() throws {
        scratch = try Scratch()
        let export = try scratch.makeDirectory("export")
        for place in ["primary", "secondary"] { try scratch.makeDirectory("export/\(place)") }
        server = try NFSServer(NFSServer.Export(export))
        primary = ["--primary", server.url("/primary")]
        secondary = ["--secondary", server.url("/secondary")]
    }

    private func register(_ archive: String) -> [String] {
        ["template", "register", archive, "--account", "1", "--id", "10", "--name", "many", "--json"] + secondary
    }

    private var install: [String] { ["template", "install", "1/10", "--json"] + primary + secondary }

    /// A root that takes some time to unpack.
    private func makeLargeRoot() async throws -> String {
        for folder in 0..<20 {
            try scratch.makeDirectory("root/\(folder)")
            for file in 0..<100 {
                try scratch.write(String(repeating: "x", count: 9_000), to: "root/\(folder)/\(file)")
            }
        }
        try scratch.write(String(repeating: "0123456789abcdef", count: 300_000), to: "root/large")
        return try await scratch.pack("root", to: "export/root.tar.gz")
    }

    /// The UUIDs of a list in JSON.
    private func ids(_ list: JSON) -> [String] {
        guard case .list(let objects) = list else { return [] }
        return objects.compactMap { $0["id"].text }.sorted()
    }

    /// Garbage collection leaves exactly what is published.
    ///
    /// - Returns: the published objects, and how much was collected.
    private func collect() async throws -> (objects: [String], removed: Double) {
        var removed = 0.0
        // Not always at once: a process killed before it had written who it is to its lock's file keeps others out for the
        // lock's lifetime.
        repeat {
            removed += try await Lxcctl.run(["pool", "gc", "--json"] + primary).json()["removed"].number ?? 0
        } while ["staging", "trash", "locks"].contains { !scratch.list("export/primary/.lxc/\($0)").isEmpty }
        let contents = try await Lxcctl.run(["pool", "list", "--json"] + primary).json()
        let objects = (ids(contents["templates"]) + ids(contents["volumes"])).sorted()
        #expect(scratch.list("export/primary").filter { $0 != ".lxc" } == objects)
        let records = scratch.list("export/primary/.lxc/objects").filter { $0.hasSuffix(".json") }
        #expect(records == objects.map { "\($0).json" })
        return (objects, removed)
    }

    @Test func fromAnArchiveOnTheServerToAVolume() async throws {
        _ = try await scratch.makeRoot()
        let archive = try await scratch.pack("root", to: "export/root.tar.gz")
        let digest = try await Lxcctl.run("tree", "digest", archive, "--no-attributes", "--no-link-times").line()
        let template = try await Lxcctl.run(register(server.url("/root.tar.gz"))).json()
        let list = try await Lxcctl.run(["template", "list", "--json"] + secondary).json()
        #expect(list == .object(["templates": .list([template]), "broken": .list([])]))
        #expect(try await Lxcctl.run(["template", "verify", "1/10"] + secondary).status == 0)
        let installed = try #require(try await Lxcctl.run(install).json()["id"].text)
        let volume = try await Lxcctl.run(["volume", "create", "--template", installed, "--json"] + primary).json()
        let id = try #require(volume["id"].text)
        for name in [installed, id] {
            let place = server.url("/primary/\(name)")
            let found = try await Lxcctl.run("tree", "digest", place, "--no-attributes", "--no-link-times").line()
            #expect(found == digest)
        }
        #expect(try await Lxcctl.run(["template", "delete", "1/10"] + secondary).status == 0)
        #expect(scratch.list("export/secondary/template/tmpl/1").isEmpty)
    }

    /// Killed at a dozen moments, from before the first call to the end.
    @Test func aKilledInstallationLeavesOldOrNew() async throws {
        try await #require(Lxcctl.run(register(makeLargeRoot())).status == 0)
        let start = ContinuousClock.now
        var published = [try #require(try await Lxcctl.run(install).json()["id"].text)]
        let duration = ContinuousClock.now - start
        var removed = 0.0
        for step in 1...12 {
            let id = UUID().uuidString.lowercased()
            let program = try RunningProgram(Lxcctl.path, install + ["--uuid", id])
            try await Task.sleep(for: duration * (Double(step) + .random(in: -0.5...0.5)) / 12)
            program.signal(SIGKILL)
            let isDone = await program.outcome().status == 0
            let (objects, count) = try await collect()
            removed += count
            if isDone || objects.contains(id) { published.append(id) }
            #expect(objects == published.sorted())
        }
        #expect(removed > 0, "it was never killed at work")
        for id in published { #expect(try await Lxcctl.run(["pool", "verify", id] + primary).status == 0) }
        #expect(try await Lxcctl.run(install).json()["id"].text == published[0])
    }

    @Test func twoProgramsRegisterAndInstallOnce() async throws {
        let archive = try await makeLargeRoot()
        for command in [register(archive), install] {
            let programs = try (0..<2).map { _ in try RunningProgram(Lxcctl.path, command) }
            var results: Set<JSON> = []
            for program in programs { results.insert(try await program.outcome().json()) }
            // With the time of its making, so both mean the same one.
            #expect(results.count == 1)
        }
        #expect(scratch.list("export/secondary/template/tmpl/1") == ["10"])
        #expect(try await collect().objects.count == 1)
    }

    @Test func tenProgramsMakeVolumesAtOnce() async throws {
        _ = try await scratch.makeRoot()
        try await #require(Lxcctl.run(register(scratch.pack("root", to: "root.tar"))).status == 0)
        let template = try #require(try await Lxcctl.run(install).json()["id"].text)
        let programs = try (0..<10).map { _ in
            try RunningProgram(Lxcctl.path, ["volume", "create", "--template", template, "--json"] + primary)
        }
        var volumes: [String] = []
        for program in programs { volumes.append(try await #require(program.outcome().json()["id"].text)) }
        #expect(Set(volumes).count == 10)
        let (objects, removed) = try await collect()
        #expect(objects == (volumes + [template]).sorted())
        #expect(removed == 0)
    }
}
