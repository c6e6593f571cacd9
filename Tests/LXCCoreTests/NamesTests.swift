// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import TestSupport
import Testing

@Suite(.limited)
struct IdentifierTests {
    private static let text = "402b0be5-b840-3fef-b292-d330f3bf809a"

    @Test func readsTheCanonicalFormAndPrintsLowerCase() throws {
        let id = try VolumeID(parsing: Self.text)
        #expect(id.description == Self.text)
        #expect(try VolumeID(parsing: Self.text.uppercased()) == id)
        #expect(try VolumeID(parsing: Self.text.uppercased()).description == Self.text)
        #expect(id.uuid == UUID(uuidString: Self.text))
    }

    @Test(arguments: [
        "", " ", "402b0be5b8403fefb292d330f3bf809a", "{402b0be5-b840-3fef-b292-d330f3bf809a}",
        "402b0be5-b840-3fef-b292-d330f3bf809", "402b0be5-b840-3fef-b292-d330f3bf809a ",
        " 402b0be5-b840-3fef-b292-d330f3bf809", "402b0be5-b840-3fef-b292-d330f3bf809g",
        "402b0be5-b840-3fef-b292-d330f3bf8 9a", "402b0be5-b840-3fef-b292-d330f3bf80+a",
        "402b0be5-b840-3fef-b292-d330f3bf0x9a", "402b0be5b-840-3fef-b292-d330f3bf809a",
        "402b0be5/b840/3fef/b292/d330f3bf809a", "../../../../../../../../../../../etc",
        "402b0be5-b840-3fef-b292-d330f3bf80\n", "402b0be5-b840-3fef-b292-d330f3bf809a\u{0}",
        "４02b0be5-b840-3fef-b292-d330f3bf80", "402b0be5-b840-3fef-b292-d330f3bf8\u{301}9",
    ])
    func everythingElseIsRefused(_ text: String) {
        let error = expect(.invalidArgument) { try TemplateID(parsing: text) }
        #expect(error?.message.contains("is not a UUID") == true)
        #expect(error?.message.contains("\n") == false)
    }

    @Test func ordersByText() throws {
        let ids = (0..<100).map { _ in VolumeID.random() }
        #expect(ids.sorted().map(\.description) == ids.map(\.description).sorted())
        #expect(Set(ids).count == 100)
    }

    @Test func codesAsText() throws {
        let id = try PoolID(parsing: Self.text)
        let json = try JSONEncoder().encode([id])
        #expect(String(decoding: json, as: UTF8.self) == "[\"\(Self.text)\"]")
        #expect(try JSONDecoder().decode([PoolID].self, from: json) == [id])
        #expect(throws: LXCError.self) { try JSONDecoder().decode([PoolID].self, from: Data("[\"x\"]".utf8)) }
    }
}

@Suite(.limited)
struct GuestNameTests {
    @Test(arguments: [
        "a", "i-2-3-VM", "r-4-VM", "0", "_", "a.b", "a-", "a.", "A_b-c.9", "..".replacing("..", with: "a.."),
        String(repeating: "x", count: 63),
    ])
    func accepted(_ text: String) throws {
        #expect(try GuestName(text).description == text)
    }

    @Test(arguments: [
        "", ".", "..", ".hidden", "-rf", "a b", "a/b", "a\nb", "a\n", "\ta", "a\u{0}", "a\u{7F}", "ü", "日本", "a\u{301}",
        "ａ", "a:b", "a;b", "a\\b", "a\"b", "a'b", "a$b", "a%b", "a+b", "a@b", "a\u{202E}b", " a", "a ",
        String(repeating: "x", count: 64), String(repeating: "x", count: 100_000),
    ])
    func refused(_ text: String) {
        let error = expect(.invalidArgument) { try GuestName(text) }
        #expect(error?.message.unicodeScalars.contains { $0.value < 0x20 } == false)
        #expect((error?.message.count ?? 0) < 500)
    }

    @Test func everySingleByteIsAcceptedExactlyWhenItIsListed() {
        let inside = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-".unicodeScalars)
        for value in UInt8(0)...127 {
            let scalar = Unicode.Scalar(value)
            #expect((try? GuestName("a\(scalar)")) != nil ? inside.contains(scalar) : !inside.contains(scalar))
        }
    }

    @Test func ordersAndCodesAsText() throws {
        let names = try ["b", "a", "B"].map { try GuestName($0) }
        #expect(names.sorted().map(\.description) == ["B", "a", "b"])
        let json = try JSONEncoder().encode(names)
        #expect(try JSONDecoder().decode([GuestName].self, from: json) == names)
        #expect(throws: LXCError.self) { try JSONDecoder().decode([GuestName].self, from: Data("[\"-x\"]".utf8)) }
    }
}
