// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Templates on secondary storage, templates and volumes on primary storage.
@Suite(.timeLimit(.minutes(15)), .host(.root)) struct StoreTests {
    private let scratch: Scratch
    private let primary: [String]
    private let secondary: [String]
    private static let templateKeys: Set = [
        "key", "name", "description", "fileName", "size", "isPublic", "digest", "format", "virtualSize", "warnings",
    ]
    private static let storedKeys: Set = ["id", "digest", "entries", "logicalSize", "created"]
    private static let volumeKeys: Set = ["id", "template", "idMap", "entries", "logicalSize", "created"]

    init() throws {
        scratch = try Scratch()
        primary = ["--primary", try scratch.makeDirectory("primary")]
        secondary = ["--secondary", try scratch.makeDirectory("secondary")]
    }

    private func register(_ archive: String, id: Int = 10, _ more: [String] = []) async throws -> Outcome {
        let template = ["--account", "1", "--id", "\(id)", "--name", "small", "--description", "A small root"]
        return try await Lxcctl.run(["template", "register", archive] + template + secondary + ["--json"] + more)
    }

    @Test func templateFromArchiveToVolume() async throws {
        let archive = try await scratch.makeArchive("root.tar.gz")
        let digest = try await Lxcctl.run("tree", "digest", archive).line()
        let md5 = try await String(host("/usr/bin/md5sum", archive).prefix(32))

        let template = try await register(archive, ["--checksum", md5]).json()
        #expect(template.keys == Self.templateKeys)
        #expect(template["key"] == .object(["account": 1, "id": 10]))
        #expect(template["digest"] == .text(digest))
        #expect(template["description"] == "A small root")
        let list = try await Lxcctl.run(["template", "list", "--json"] + secondary).json()
        #expect(list == .object(["templates": .list([template]), "broken": .list([])]))
        #expect(try await Lxcctl.run(["template", "show", "1/10", "--json"] + secondary).json() == template)
        let verified = try await Lxcctl.run(["template", "verify", "1/10", "--json"] + secondary).json()
        #expect(verified == .object(["verified": "1/10"]))

        let stored = try await Lxcctl.run(["template", "install", "1/10", "--json"] + primary + secondary).json()
        #expect(stored.keys == Self.storedKeys)
        #expect(stored["digest"] == .text(digest))
        try expectTime(stored["created"])
        let id = try #require(stored["id"].text)
        #expect(template["fileName"] == .text("\(id).tar"))
        let again = try await Lxcctl.run(["template", "install", "1/10"] + primary + secondary).line()
        #expect(again == id, "installed once")

        #expect(try await Lxcctl.run(["pool", "verify", id] + primary).status == 0)
        let base = ["volume", "create", "--template", id, "--json"] + primary
        let volume = try await Lxcctl.run(base + ["--id-map", "0:100000:65536"]).json()
        #expect(volume.keys == Self.volumeKeys)
        #expect(volume["template"] == .text(id))
        try expectTime(volume["created"])
        #expect(try await Lxcctl.run(base).json().keys == Self.volumeKeys.subtracting(["idMap"]))
        #expect(try await Lxcctl.run(["volume", "list", "--json"] + primary).json().count == 2)

        let contents = try await Lxcctl.run(["pool", "list", "--json"] + primary).json()
        #expect(contents.keys == ["templates", "volumes", "images", "disks", "broken"])
        #expect(contents["templates"] == .list([stored]))
        let info = try await Lxcctl.run(["pool", "info", "--json"] + primary).json()
        #expect(info.keys == ["pool", "path", "capacity", "templates", "volumes", "images", "disks", "broken"])
        #expect(info["capacity"].keys == ["total", "available"])
        #expect(info["volumes"] == 2)
        #expect(info["path"] == .text(primary[1]))

        let name = try #require(volume["id"].text)
        for _ in 1...2 {  // What is not there is no error.
            let deleted = try await Lxcctl.run(["volume", "delete", name, "--json"] + primary).json()
            #expect(deleted == .object(["deleted": .text(name)]))
        }
        #expect(!scratch.exists("primary/\(name)"))
        let deleted = try await Lxcctl.run(["template", "delete", "1/10", "--json"] + secondary).json()
        #expect(deleted == .object(["deleted": "1/10"]))
        #expect(try await Lxcctl.run(["template", "list", "--json"] + secondary).json()["templates"].count == 0)
    }

    @Test func changedTemplateIsNamed() async throws {
        _ = try await register(scratch.makeArchive("root.tar.gz")).json()
        let id = try await Lxcctl.run(["template", "install", "1/10"] + primary + secondary).line()
        try scratch.write("other", to: "primary/\(id)/etc/empty")
        let verified = try await Lxcctl.run(["pool", "verify", id] + primary)
        #expect(verified.status == 1)
        #expect(verified.stdout.split(separator: "\n").contains("changed etc/empty"))
        try await Lxcctl.fails(["pool", "verify", UUID().uuidString.lowercased()] + primary)
    }

    /// A directory that holds no pool is told from an empty pool, and left as it is, until a pool is made in it.
    @Test func poolsAreMadeWhenAsked() async throws {
        try scratch.makeDirectory("primary/\(UUID().uuidString.lowercased())/etc")
        for command in [["pool", "info"], ["pool", "list"], ["pool", "gc"], ["volume", "list"]] {
            try await Lxcctl.fails(command + primary, naming: [primary[1], "pool create"])
        }
        _ = try await register(scratch.makeArchive("root.tar.gz")).json()
        // Somebody keeps something there.
        try await Lxcctl.fails(["template", "install", "1/10"] + primary + secondary, naming: [primary[1]])
        #expect(!scratch.exists("primary/.lxc"))
        let made = try await Lxcctl.run(["pool", "create", "--json"] + primary).json()
        #expect(made.keys == ["pool"])
        try await Lxcctl.fails(["pool", "create"] + primary, naming: [primary[1]])
        #expect(try await Lxcctl.run(["pool", "info", "--json"] + primary).json()["volumes"] == 1)
        // Where nobody keeps anything, the first template begins the store, and that is said.
        let empty = ["--primary", try scratch.makeDirectory("empty")]
        let installed = try await Lxcctl.run(["template", "install", "1/10"] + empty + secondary)
        #expect(installed.status == 0)
        #expect(installed.stderr.contains("made the pool"))
    }

    @Test func installedTemplateIsDeleted() async throws {
        _ = try await register(scratch.makeArchive("root.tar.gz")).json()
        let id = try await Lxcctl.run(["template", "install", "1/10"] + primary + secondary).line()
        let volume = try await Lxcctl.run(["volume", "create", "--template", id] + primary).line()
        try await Lxcctl.fails(["pool", "delete", id] + primary, naming: [id, volume])
        try await Lxcctl.fails(["pool", "delete", volume] + primary, naming: [volume, "volume"])
        try await Lxcctl.fails(["volume", "delete", id] + primary, naming: [id, "pool delete"])
        #expect(try await Lxcctl.run(["volume", "delete", volume] + primary).status == 0)
        for _ in 1...2 {  // What is not there is no error.
            let deleted = try await Lxcctl.run(["pool", "delete", id, "--json"] + primary).json()
            #expect(deleted == .object(["deleted": .text(id)]))
        }
        #expect(scratch.list("primary") == [".lxc"])
    }

    @Test func brokenObjectIsListedBesideOthersAndDeleted() async throws {
        _ = try await register(scratch.makeArchive("root.tar.gz")).json()
        let id = try await Lxcctl.run(["template", "install", "1/10"] + primary + secondary).line()
        let volume = try await Lxcctl.run(["volume", "create", "--template", id] + primary).line()
        try scratch.write("{\"formatVersion\": 9, \"kind\": \"elephant\"}", to: "primary/.lxc/objects/\(volume).json")
        let list = try await Lxcctl.run(["pool", "list", "--json"] + primary).json()
        #expect(list["templates"].count == 1)
        #expect(list["broken"].count == 1)
        #expect(list["broken"][0]["id"] == .text(volume))
        let text = try await Lxcctl.run(["pool", "list"] + primary)
        #expect(text.status == 0)
        #expect(text.stdout.contains("broken: \(volume)"))
        #expect(try await Lxcctl.run(["volume", "delete", volume] + primary).status == 0)
        #expect(try await Lxcctl.run(["pool", "list", "--json"] + primary).json()["broken"].count == 0)
    }

    private func expectTime(_ value: JSON, _ location: SourceLocation = #_sourceLocation) throws {
        let text = try #require(value.text, sourceLocation: location)
        #expect(text.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/) != nil, sourceLocation: location)
    }

    @Test func tablesAreAligned() async throws {
        let archive = try await scratch.makeArchive("root.tar.gz")
        _ = try await register(archive, id: 5).json()
        _ = try await register(archive, id: 123_456, ["--name", "größer, und länger"]).json()
        let templates = try await Lxcctl.run(["template", "list"] + secondary)
        expectAligned(templates.stdout, columns: ["TEMPLATE", "NAME", "SIZE", "DIGEST"])

        let id = try await Lxcctl.run(["template", "install", "1/5"] + primary + secondary).line()
        for map in [[], ["--id-map", "0:100000:65536"]] {
            _ = try await Lxcctl.run(["volume", "create", "--template", id] + primary + map).line()
        }
        let volumes = try await Lxcctl.run(["volume", "list"] + primary)
        expectAligned(volumes.stdout, columns: ["UUID", "TEMPLATE", "SIZE", "ID MAP"])
        #expect(volumes.stdout.contains("0:100000:65536"))
        let contents = try await Lxcctl.run(["pool", "list"] + primary)
        expectAligned(contents.stdout, columns: ["UUID", "KIND", "SIZE", "TEMPLATE"])
    }

    /// Every column begins where its heading does, in every line.
    private func expectAligned(
        _ table: String, columns: [String], _ location: SourceLocation = #_sourceLocation
    ) {
        let lines = table.split(separator: "\n").map(Array.init)
        #expect(lines.count > 2, sourceLocation: location)
        guard let heading = lines.first else { return }
        for column in columns.dropFirst() {
            guard let range = String(heading).range(of: "  \(column)") else {
                Issue.record("no column \(column) in \(table)", sourceLocation: location)
                continue
            }
            let start = String(heading).distance(from: String(heading).startIndex, to: range.upperBound) - column.count
            for line in lines {
                #expect(line.count > start && line[start] != " ", "\(column): \(table)", sourceLocation: location)
                #expect(line[start - 1] == " ", "\(column): \(table)", sourceLocation: location)
            }
        }
    }

    @Test func brokenTemplateIsListedBesideOthers() async throws {
        let archive = try await scratch.makeArchive("root.tar.gz")
        _ = try await register(archive, id: 1).json()
        try scratch.makeDirectory("secondary/template/tmpl/1/2")
        try scratch.write("uniquename=x\n", to: "secondary/template/tmpl/1/2/template.properties")
        let list = try await Lxcctl.run(["template", "list", "--json"] + secondary).json()
        #expect(list["templates"].count == 1)
        #expect(list["broken"].count == 1)
        #expect(list["broken"][0].keys == ["key", "reason"])
        #expect(list["broken"][0]["key"] == .object(["account": 1, "id": 2]))
        let text = try await Lxcctl.run(["template", "list"] + secondary)
        #expect(text.status == 0)
        #expect(text.stdout.contains("1/2"))
    }

    @Test func checksums() async throws {
        let archive = try await scratch.makeArchive("root.tar.gz")
        let sha256 = try await String(host("/usr/bin/sha256sum", archive).prefix(64))
        let sha512 = try await String(host("/usr/bin/sha512sum", archive).prefix(128))
        #expect(try await register(archive, id: 1, ["--checksum", "{SHA-256}\(sha256)"]).status == 0)
        #expect(try await register(archive, id: 2, ["--checksum", "{SHA-512}\(sha512.uppercased())"]).status == 0)
        for wrong in [
            "{SHA-256}" + String(repeating: "0", count: 64), String(repeating: "0", count: 32), "{SHA-256}00",
            "{CRC}00000000", "nonsense", "",
        ] {
            try await register(archive, id: 3, ["--checksum", wrong]).expectFailure()
        }
        let list = try await Lxcctl.run(["template", "list", "--json"] + secondary).json()
        #expect(list["templates"].count == 2)
        #expect(scratch.list("secondary/template/tmpl/1") == ["1", "2"])
    }

    @Test func registrationThatCannotBe() async throws {
        let archive = try await scratch.makeArchive("root.tar.gz")
        let cut = scratch["cut.tar.gz"]
        try Data(contentsOf: URL(filePath: archive)).dropLast(5).write(to: URL(filePath: cut))
        try await register(cut).expectFailure(naming: ["cut.tar.gz"])
        try await register(scratch["missing.tar"]).expectFailure(naming: [scratch["missing.tar"]])
        try await register(scratch["primary"]).expectFailure(naming: [scratch["primary"], "regular file"])
        try await register("nfs://server/export/root.tar").expectFailure(naming: ["nfs://"])
        let hostile = try await scratch.packHostile("../x", to: "hostile.tar")
        try await register(hostile).expectFailure(naming: ["../x"])
        #expect(scratch.list("secondary/template/tmpl/1") == [])
        #expect(try await register(archive).status == 0)
        try await register(archive).expectFailure(naming: ["1/10"])
    }

    @Test func missingObjects() async throws {
        let unknown = "11111111-2222-3333-4444-555555555555"
        _ = try await Lxcctl.run(["pool", "create"] + primary).line()
        for verb in ["show", "verify"] {
            try await Lxcctl.fails(["template", verb, "1/99"] + secondary, naming: ["1/99"])
        }
        let deleted = try await Lxcctl.run(["template", "delete", "1/99"] + secondary)
        #expect(deleted.status == 0, "what is not there is no error")
        try await Lxcctl.fails(["template", "install", "1/99"] + primary + secondary, naming: ["1/99"])
        try await Lxcctl.fails(["volume", "create", "--template", unknown] + primary, naming: [unknown])
        #expect(scratch.list("primary").filter { $0 != ".lxc" } == [])
        #expect(scratch.list("primary/.lxc/staging") == [])
    }

    @Test func leasesAreShownAndBroken() async throws {
        let volume = "11111111-2222-4333-8444-555555555555"
        #expect(try await Lxcctl.run(["pool", "create"] + primary).status == 0)
        try scratch.makeDirectory("primary/\(volume)/etc")
        #expect(try await Lxcctl.run(["lease", "show", "--json"] + primary).json() == .list([]))
        for command in [["show", volume], ["break", volume], ["break", volume, "--force"]] {
            try await Lxcctl.fails(["lease"] + command + primary, naming: [volume])
        }
        try scratch.write(
            #"{"volume":"\#(volume)","holder":"away","use":"container web1","acquired":"2024-01-01T00:00:00Z"}"#,
            to: "primary/.lxc/leases/\(volume).json")
        let lease = try await Lxcctl.run(["lease", "show", volume, "--json"] + primary).json()[0]
        #expect(lease["holder"] == "away" && lease["use"] == "container web1")
        #expect(try await Lxcctl.run(["lease", "show"] + primary).stdout.contains("container web1"))
        try await Lxcctl.fails(["volume", "delete", volume] + primary, naming: ["away"])
        try await Lxcctl.fails(["lease", "break", volume] + primary, naming: ["away", "web1", "--force"])
        let broken = try await Lxcctl.run(["lease", "break", volume, "--force", "--json"] + primary)
        #expect(try broken.json() == .object(["broken": .text(volume)]))
        #expect(broken.stderr.contains("away"), "it is logged whose it was")
        #expect(try await Lxcctl.run(["volume", "delete", volume] + primary).status == 0)
    }

    @Test(arguments: ["nonsense", "1", "1/", "/1", "1/2/3", "-1/2", "1/x", "../../etc", "99999999999999999999/1", ""])
    func nonsenseKey(_ key: String) async throws {
        try await Lxcctl.fails(["template", "show"] + secondary + ["--", key], naming: ["ACCOUNT/ID"])
    }

    @Test(arguments: ["nonsense", "../../etc", "", "11111111-2222-3333-4444-55555555555", ".lxc"])
    func nonsenseIdentifier(_ id: String) async throws {
        try await Lxcctl.fails(["volume", "delete", id] + primary, naming: ["UUID"])
        try await Lxcctl.fails(["volume", "create", "--template", id] + primary, naming: ["UUID"])
    }

    @Test func storesThatAreNotThere() async throws {
        let missing = scratch["missing"]
        for command in [["pool", "info"], ["pool", "list"], ["pool", "gc"], ["volume", "list"]] {
            try await Lxcctl.fails(command + ["--primary", missing], naming: [missing])
            try await Lxcctl.fails(command + ["--primary", "/dev/null"], naming: ["/dev/null"])
        }
        #expect(!scratch.exists("missing"))
        try await Lxcctl.fails(["template", "list", "--secondary", missing], naming: [missing])
        try await Lxcctl.fails(["template", "show", "1/10", "--secondary", missing], naming: [missing])
    }
}
