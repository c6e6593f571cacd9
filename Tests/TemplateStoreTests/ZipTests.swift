// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LXCCore
import TemplateStore
import TestSupport
import Testing

/// Zip files around a tar, and those that are none.
@Suite(.limited)
struct ZipTests {
    private let fixture: Fixture

    init() throws { fixture = try Fixture() }

    /// Makes a zip file with a program of Python's, which writes any name; each member is a name and where its contents
    /// are.
    private func zip(_ members: [(String, String)], method: Int = 8) throws -> String {
        var lines = "import zipfile\nz = zipfile.ZipFile('\(fixture.directory["zip"])', 'w', \(method))\n"
        for (name, source) in members { lines += "z.writestr('\(name)', open('\(source)', 'rb').read())\n" }
        try fixture.directory.write(lines + "z.close()\n", to: "zip.py")
        try Command.run("/usr/bin/env", "python3", fixture.directory["zip.py"])
        return fixture.directory["zip"]
    }

    private func code(_ source: String) async -> LXCError.Code? {
        await codeThrown { try await fixture.store.register(fixture.registration(source), progress: nil) }
    }

    @Test(arguments: [0, 8]) func theOneTarIsTaken(_ method: Int) async throws {
        let source = try zip([("images/root.tar", fixture.tar)], method: method)
        let template = try await fixture.store.register(fixture.registration(source), progress: nil)
        let stored = try fixture.directory.read("secondary/template/tmpl/1/10/\(template.fileName)")
        #expect(stored == (try fixture.directory.read("plain")))
        try await fixture.store.verify(fixture.key, progress: nil)
    }

    @Test func moreThanOneFileIsRefused() async throws {
        #expect(await code(try zip([("a.tar", fixture.tar), ("b.tar", fixture.tar)])) == .corrupt)
        #expect(await code(try zip([("a.tar", fixture.tar), ("README", "/dev/null")])) == .corrupt)
        #expect(await code(try zip([])) == .corrupt)
        #expect(await code(try zip([("directory/", "/dev/null")])) == .corrupt)
        #expect(fixture.files.isEmpty)
    }

    @Test(arguments: ["../root.tar", "/root.tar", "a/../../root.tar", "a//b.tar"])
    func namesThatLeadOutsideAreRefused(_ name: String) async throws {
        #expect(await code(try zip([(name, fixture.tar)])) == .unsafe)
        #expect(fixture.files.isEmpty)
    }

    @Test func whatIsInsideMustBeAPlainTar() async throws {
        #expect(await code(try zip([("root.tar", fixture.compressed(by: "gzip"))])) == .unsupported)
        try fixture.directory.write("no tar\n", to: "text")
        #expect(await code(try zip([("root.tar", fixture.directory["text"])])) == .corrupt)
        #expect(fixture.files.isEmpty)
    }

    @Test func bombsAreStopped() async throws {
        try Command.run("/bin/sh", "-c", "head -c 100M /dev/zero > '\(fixture.directory["zeros"])'")
        var registration = fixture.registration(try zip([("root.tar", fixture.directory["zeros"])]))
        registration.maximumSize = .mebibytes(99)
        await expect(.limitExceeded) { try await fixture.store.register(registration, progress: nil) }
        registration.maximumSize = .gibibytes(1)
        registration.limits.expansionRatio = 100
        await expect(.limitExceeded) { try await fixture.store.register(registration, progress: nil) }
        #expect(fixture.files.isEmpty)
    }

    @Test func damageIsFound() async throws {
        let source = try zip([("root.tar", fixture.tar)], method: 0)
        let bytes = try fixture.directory.read("zip")
        let place = try #require(bytes.firstRange(of: Array("box\n".utf8))?.lowerBound)
        var flipped = bytes
        flipped[place] ^= 1
        try fixture.directory.write(flipped, to: "zip")
        #expect(await code(source) == .corrupt)
        for count in [bytes.count - 1, bytes.count / 2, 40, 4] {
            try fixture.directory.write(Array(bytes.prefix(count)), to: "zip")
            #expect(await code(source) == .corrupt, "\(count) of \(bytes.count) bytes")
        }
        #expect(fixture.files.isEmpty)
    }
}
