// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import Glibc
import LXCCore
import LXCTesting
import TarArchive
import TemplateStore
import TestSupport
import Testing

/// Reading what CloudStack wrote, and what is damaged.
@Suite(.limited)
struct ReadingTests {
    private let fixture: Fixture

    init() throws { fixture = try Fixture() }

    @Test func aTemplateOfCloudStackIsRead() async throws {
        try fixture.putByHand(fixture.key, properties: fixture.properties())
        let size = ByteCount(UInt64(try fixture.directory.read("plain").count))
        let expected = Template(
            key: fixture.key, name: "201-2-debian", summary: "Debian: débutant", fileName: "by-hand.tar",
            size: size, isPublic: true, digest: nil)
        #expect(try await fixture.store.template(fixture.key) == expected)
        #expect(try await fixture.store.list() == TemplateListing(templates: [expected]))
        try await fixture.store.verify(fixture.key, progress: nil)
        let destination = MemoryTreeDestination()
        _ = try await TreeCopy.run(from: try await fixture.store.contents(of: fixture.key), to: destination)
        #expect(destination.tree?["etc/hostname"]?.contents == Array("box\n".utf8))
    }

    @Test(arguments: ["tar=true", "tar.filename", "uniquename", "virtualsize", "tar.size", "tar.virtualsize"])
    func aMissingKeyIsCorruptAndNamed(_ key: String) async throws {
        let lines = try fixture.properties().split(separator: "\n").filter { !$0.hasPrefix(key) }
        try fixture.putByHand(fixture.key, properties: lines.joined(separator: "\n"))
        let error = await expect(.corrupt) { try await fixture.store.template(fixture.key) }
        #expect(error?.message.contains(key) == true, "\(error?.message ?? "")")
        #expect(try await fixture.store.list().broken.map(\.key) == [fixture.key])
    }

    @Test(arguments: [
        ("tar=true", "tar=false"), ("tar.filename=by-hand.tar", "tar.filename=../../../../../plain"),
        ("tar.filename=by-hand.tar", "tar.filename=.hidden"), ("tar.filename=by-hand.tar", "tar.filename=missing.tar"),
        ("tar.size=", "tar.size=1"), ("tar.size=", "tar.size=-"), ("\nvirtualsize=", "\nvirtualsize=x"),
        ("hvm=false", "hvm=\\u12"), ("hvm=false", "lxc.tree.digest=abc"),
    ])
    func aWrongValueIsCorrupt(_ right: String, _ wrong: String) async throws {
        try fixture.putByHand(fixture.key, properties: fixture.properties().replacing(right, with: wrong))
        let error = await #expect(throws: LXCError.self) { try await fixture.store.template(fixture.key) }
        #expect(error?.code == .corrupt, "\(error?.description ?? "")")
        await expect(.corrupt) { try await fixture.store.contents(of: fixture.key) }
    }

    @Test func aLinkInPlaceOfTheTarIsRefused() async throws {
        try fixture.putByHand(fixture.key, properties: fixture.properties(), tar: nil)
        #expect(symlink(fixture.tar, fixture.directory["secondary/template/tmpl/1/10/by-hand.tar"]) == 0)
        await expect(.corrupt) { try await fixture.store.contents(of: fixture.key) }
    }

    @Test func whatIsBrokenDoesNotHideItsNeighbours() async throws {
        let template = try await fixture.store.register(fixture.registration(), progress: nil)
        let other = TemplateKey(account: 2, id: 7)
        try fixture.putByHand(other, properties: fixture.properties())
        try fixture.putByHand(TemplateKey(account: 1, id: 11), properties: "tar=true\n")
        try fixture.directory.makeDirectory("secondary/template/tmpl/1/12")
        for stray in [
            "7", "notes", "1/13", "1/readme", "lost+found/x", "1/007/x", "+1/5/x", "1/.14.0123456789abcdef/x",
        ] {
            try fixture.directory.write("x", to: "secondary/template/tmpl/\(stray)")
        }
        let listing = try await fixture.store.list()
        #expect(listing.templates.map(\.key) == [template.key, other])
        #expect(listing.broken.map(\.key.description) == ["1/11", "1/12"])
        #expect(listing.broken.last?.reason.contains("template.properties") == true)
    }

    @Test func aStorageWithoutTemplatesIsEmpty() async throws {
        #expect(try await fixture.store.list() == TemplateListing())
        try await fixture.store.delete(fixture.key)
        await expect(.notFound) { try await fixture.store.template(fixture.key) }
    }

    // MARK: Damage after registration

    @Test func verifyFindsAFlippedByte() async throws {
        let template = try await fixture.store.register(fixture.registration(), progress: nil)
        try await fixture.store.verify(fixture.key, progress: nil)
        let name = "secondary/template/tmpl/1/10/\(template.fileName)"
        let bytes = try fixture.directory.read(name)
        let place = try #require(bytes.firstRange(of: Array("box\n".utf8))?.lowerBound)
        for position in [place, place + 3] {
            var flipped = bytes
            flipped[position] ^= 0x01
            try fixture.directory.write(flipped, to: name)
            let error = await expect(.corrupt) {
                try await fixture.store.verify(fixture.key, progress: nil)
            }
            #expect(error?.message.contains("1/10") == true)
        }
        try fixture.directory.write(bytes, to: name)
        try await fixture.store.verify(fixture.key, progress: nil)
    }

    /// What no entry of the tree shows: the padding after a file's contents.
    @Test func verifyFindsAFlippedByteBetweenTheFiles() async throws {
        let template = try await fixture.store.register(fixture.registration(), progress: nil)
        let name = "secondary/template/tmpl/1/10/\(template.fileName)"
        var bytes = try fixture.directory.read(name)
        let place = try #require(bytes.firstRange(of: Array("box\n".utf8))?.upperBound)
        bytes[place + 20] ^= 0x01
        try fixture.directory.write(bytes, to: name)
        let error = await expect(.corrupt) { try await fixture.store.verify(fixture.key, progress: nil) }
        #expect(error?.message.contains("1/10") == true)
    }

    @Test func aTarOfAnotherLengthIsCorrupt() async throws {
        let template = try await fixture.store.register(fixture.registration(), progress: nil)
        let name = "secondary/template/tmpl/1/10/\(template.fileName)"
        try fixture.directory.write(Array(try fixture.directory.read(name).dropLast(512)), to: name)
        await expect(.corrupt) { try await fixture.store.verify(fixture.key, progress: nil) }
    }

    // MARK: Deletion and keys

    @Test func deletingLeavesTheAccountsOthers() async throws {
        _ = try await fixture.store.register(fixture.registration(), progress: nil)
        var second = fixture.registration()
        second.key.id = 11
        _ = try await fixture.store.register(second, progress: nil)
        try await fixture.store.delete(fixture.key)
        try await fixture.store.delete(fixture.key)
        #expect(fixture.directory.list("secondary/template/tmpl/1") == ["11"])
        #expect(try await fixture.store.list().templates.map(\.key) == [second.key])
    }

    @Test(arguments: ["", "1", "1/", "/1", "1/2/3", "a/b", "-1/2", "1/-2", "1 /2", "18446744073709551616/1"])
    func otherKeysAreRefused(_ text: String) {
        expect(.invalidArgument) { try TemplateKey(parsing: text) }
    }

    @Test func keysAreReadAndOrdered() throws {
        let keys = try ["10/1", "1/10", "1/9", "18446744073709551615/0"].map { try TemplateKey(parsing: $0) }
        #expect(keys.sorted().map(\.description) == ["1/9", "1/10", "10/1", "18446744073709551615/0"])
    }
}
