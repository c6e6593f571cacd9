// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import Glibc
import LXCCore
import LinuxSystem
import TemplateStore
import TestSupport
import Testing

/// What killed programs left on secondary storage, and what others planted there.
@Suite(.limited)
struct LeftoverTests {
    private func leaveHalf(_ key: TemplateKey, in fixture: Fixture) throws {
        try fixture.directory.write(
            "half", to: "secondary/template/tmpl/\(key.account)/.\(key.id).0123456789abcdef/x.tar")
    }

    @Test func aRegistrationRemovesWhatAKilledOneLeft() async throws {
        let fixture = try Fixture()
        try leaveHalf(fixture.key, in: fixture)
        try leaveHalf(TemplateKey(account: 1, id: 100), in: fixture)
        _ = try await fixture.store.register(fixture.registration(), progress: nil)
        #expect(fixture.directory.list("secondary/template/tmpl/1") == [".100.0123456789abcdef", "10"])
    }

    @Test func aDeletionRemovesWhatAKilledOneLeft() async throws {
        let fixture = try Fixture()
        try leaveHalf(fixture.key, in: fixture)
        try await fixture.store.delete(fixture.key)
        #expect(fixture.directory.list("secondary/template/tmpl/1") == [])
        try await fixture.store.delete(TemplateKey(account: 2, id: 1))
        #expect(!fixture.directory.exists("secondary/template/tmpl/2"))
    }

    @Test func whatIsRegisteredAtThisMomentIsLeftAlone() async throws {
        let fixture = try Fixture()
        try leaveHalf(fixture.key, in: fixture)
        let lock = fixture.directory["secondary/template/tmpl/1/.10.lock"]
        let deletion = try await FileLock.hold(lock, pool: .shared) {
            let deletion = Task { try await fixture.store.delete(fixture.key) }
            try await Task.sleep(for: .milliseconds(200))
            #expect(fixture.directory.exists("secondary/template/tmpl/1/.10.0123456789abcdef/x.tar"))
            return deletion
        }
        try await deletion.value
        #expect(fixture.directory.list("secondary/template/tmpl/1") == [])
    }

    @Test(arguments: ["secondary/template/tmpl/1", "secondary/template/tmpl/1/10"])
    func aLinkIsNoTemplate(link: String) async throws {
        let fixture = try Fixture()
        _ = try await fixture.store.register(fixture.registration(), progress: nil)
        try FileManager.default.moveItem(atPath: fixture.directory[link], toPath: fixture.directory["elsewhere"])
        #expect(symlink(fixture.directory["elsewhere"], fixture.directory[link]) == 0)
        #expect(try await fixture.store.list() == TemplateListing())
        await expect(.notFound) { try await fixture.store.template(fixture.key) }
        await expect(.notFound) { try await fixture.store.contents(of: fixture.key) }
        try await fixture.store.delete(fixture.key)
        #expect(!fixture.directory.list("elsewhere").isEmpty)
    }

    @Test func aFileNameWithASlashUnderAnAccentIsRefused() async throws {
        let fixture = try Fixture()
        let properties = try fixture.properties(fileName: "sub/\\u0301x.tar")
        try fixture.putByHand(fixture.key, properties: properties, tar: "sub/\u{301}x.tar")
        await expect(.corrupt) { try await fixture.store.template(fixture.key) }
    }

    @Test func aFIFOInThePlaceOfThePropertiesHoldsNothingUp() async throws {
        let fixture = try Fixture()
        try fixture.directory.makeDirectory("secondary/template/tmpl/1/10")
        #expect(mkfifo(fixture.directory["secondary/template/tmpl/1/10/template.properties"], 0o600) == 0)
        await expect(.corrupt) { try await fixture.store.template(fixture.key) }
        #expect(try await fixture.store.list().broken.map(\.key) == [fixture.key])
    }
}
