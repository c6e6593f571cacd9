// SPDX-License-Identifier: Apache-2.0

import Foundation
import FoundationXML
import Testing

/// `lxcctl xml`: a specification's document.
@Suite(.timeLimit(.minutes(15))) struct SpecificationTests {
    private let scratch: Scratch
    private static let template = "402b0be5-b840-3fef-b292-d330f3bf809a"
    private static let volume = "edb596f6-42fb-499d-8ded-8834aff52d75"

    init() throws { scratch = try Scratch() }

    private func xml(_ specification: String, _ arguments: [String] = []) async throws -> Outcome {
        let file = try scratch.write(specification, to: "container.json")
        return try await Lxcctl.run(["xml", file] + arguments)
    }

    /// The elements CloudStack's specification of LXC asks for.
    @Test func elementsOfTheOriginalSpecification() async throws {
        let outcome = try await xml(
            #"{"name": "i-2-10-VM", "template": "\#(Self.template)", "volume": "\#(Self.volume)", "privileged": true}"#)
        #expect(outcome.status == 0, "\(outcome.stderr)")
        let document = try Document(outcome.stdout)
        #expect(document["/domain/@type"] == "lxc")
        #expect(document["/domain/name"] == "i-2-10-VM")
        #expect(document["/domain/os/type"] == "exe")
        let machine = try await host("/bin/uname", "-m").trimmingCharacters(in: .newlines)
        #expect(document["/domain/os/type/@arch"] == machine)
        #expect(document["/domain/os/init"] == "/sbin/init")
        #expect(document["/domain/devices/filesystem/@type"] == "mount")
        #expect(document["/domain/devices/filesystem/source/@dir"] == "/mnt/primary/\(Self.volume)")
        #expect(document["/domain/devices/filesystem/target/@dir"] == "/")
        #expect(document["/domain/idmap"] == nil)
        #expect(document["/domain/devices/console/@type"] == "pty")
    }

    @Test func everyKeyIsSeenInTheDocument() async throws {
        let outcome = try await xml(
            """
            {"name": "web1", "template": "\(Self.template)", "volume": "\(Self.volume)",
             "uuid": "0b1b0ea0-2ce9-4e7c-a4b1-3b1f9a0d7a5c", "idMap": ["0:200000:1000"], "init": "/bin/run",
             "arguments": ["--now"], "environment": {"A": "1 > 0"}, "memory": "256MiB", "cpus": 2, "cpuShares": 512,
             "cpuPeriod": 100000, "cpuQuota": 50000, "title": "A web server", "owner": "me"}
            """, ["--primary", "/srv/pool", "--json"])
        let text = try #require(try outcome.json()["xml"].text)
        #expect(try outcome.json().keys == ["xml"])
        let document = try Document(text)
        #expect(document["/domain/uuid"] == "0b1b0ea0-2ce9-4e7c-a4b1-3b1f9a0d7a5c")
        #expect(document["/domain/title"] == "A web server")
        #expect(document["/domain/idmap/uid/@target"] == "200000")
        #expect(document["/domain/idmap/gid/@count"] == "1000")
        #expect(document["/domain/os/init"] == "/bin/run")
        #expect(document["/domain/os/initarg"] == "--now")
        #expect(document["/domain/os/initenv"] == "1 > 0")
        #expect(document["/domain/memory"] == "262144")
        #expect(document["/domain/vcpu"] == "2")
        #expect(document["/domain/cputune/shares"] == "512")
        #expect(document["/domain/cputune/period"] == "100000")
        #expect(document["/domain/cputune/quota"] == "50000")
        #expect(document["/domain/devices/filesystem/source/@dir"] == "/srv/pool/\(Self.volume)")
    }

    @Test(arguments: [
        ("", "container.json"), ("{", "not a JSON"), ("[]", "container.json"), ("null", "container.json"),
        (#"{"name": "web1"}"#, "template"), (#"{"template": "TEMPLATE"}"#, "name"),
        (#"{"name": "web1", "template": "TEMPLATE", "memroy": 1}"#, "memroy"),
        (#"{"name": "a/b", "template": "TEMPLATE"}"#, "a/b"), (#"{"name": "LONG", "template": "TEMPLATE"}"#, "63"),
        (#"{"name": ".", "template": "TEMPLATE"}"#, "cannot name"), (#"{"name": 5, "template": "TEMPLATE"}"#, "name"),
        (#"{"name": "web1", "template": "x"}"#, "UUID"), (#"{"name": "web1", "template": null}"#, "template"),
        (#"{"name": "web1", "template": "TEMPLATE", "memory": "much"}"#, "much"),
        (#"{"name": "web1", "template": "TEMPLATE", "memory": -1}"#, "memory"),
        (#"{"name": "web1", "template": "TEMPLATE", "memory": 1}"#, "MiB"),
        (#"{"name": "web1", "template": "TEMPLATE", "cpus": 0}"#, "processors"),
        (#"{"name": "web1", "template": "TEMPLATE", "cpuShares": -1}"#, "number"),
        (#"{"name": "web1", "template": "TEMPLATE", "init": "sbin/init"}"#, "sbin/init"),
        (#"{"name": "web1", "template": "TEMPLATE", "privileged": true, "idMap": ["0:1:2"]}"#, "privileged"),
        (#"{"name": "web1", "template": "TEMPLATE", "idMap": ["0:1"]}"#, "0:1"),
        (#"{"name": "web1", "template": "TEMPLATE", "nics": [{"mac": "x"}]}"#, "MAC"),
        (#"{"name": "web1", "template": "TEMPLATE", "uuid": "x"}"#, "uuid"),
        (#"{"name": "web1", "template": "TEMPLATE", "title": "a\u0001b"}"#, "title"),
    ])
    func specificationThatCannotBe(_ text: String, _ word: String) async throws {
        let specification = text.replacing("TEMPLATE", with: Self.template)
            .replacing("LONG", with: String(repeating: "x", count: 64))
        try await xml(specification).expectFailure(naming: [word])
    }

    @Test func specificationThatCannotBeRead() async throws {
        for path in [scratch["missing.json"], scratch.path] { try await Lxcctl.fails(["xml", path], naming: [path]) }
    }
}

/// Reads a document by XPath.
private struct Document {
    private let document: XMLDocument

    init(_ xml: String) throws { document = try XMLDocument(xmlString: xml) }

    /// The text of the first element or attribute at a path; nil where there is none.
    subscript(path: String) -> String? { (try? document.nodes(forXPath: path))?.first?.stringValue }
}
