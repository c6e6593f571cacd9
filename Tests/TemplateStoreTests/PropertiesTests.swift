// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import TestSupport
import Testing

@testable import TemplateStore

/// `template.properties` as it is written, read again.
@Suite(.limited)
struct PropertiesTests {
    /// Texts of any characters but NUL, which no file of the kind can hold as a whole; never empty.
    private static func text(_ random: inout SeededRandom) -> String {
        let alphabet = Array("aZ09 =:#!\\\t\n\r\u{0C}ü€\u{1F600}\u{301}\u{2028}'\"/.-")
        return String(
            (0...Int.random(in: 0...12, using: &random)).map { _ in
                alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
            })
    }

    @Test(arguments: 0..<200) func whatIsWrittenIsRead(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let digest = try TreeDigest(parsing: String(repeating: "ab", count: 32))
        let template = Template(
            key: TemplateKey(account: random.next(), id: random.next()), name: Self.text(&random),
            summary: Self.text(&random), fileName: "402b0be5-b840-3fef-b292-d330f3bf809a.tar",
            size: ByteCount(UInt64.random(in: 1 ... .max, using: &random)), isPublic: Bool.random(using: &random),
            digest: Bool.random(using: &random) ? digest : nil)
        let checksum = try Checksum(parsing: "{SHA-256}" + String(repeating: "cd", count: 32))
        let written = TemplateProperties(template, checksum: nil, fileChecksum: checksum, registration: "r")
        let read = try TemplateProperties(parsing: written.bytes)
        #expect(try read.template(template.key) == template)
        #expect(try read.fileChecksum(template.key) == checksum)
        #expect(read.registration == "r")
        try read.checkConsistency(template.key)
        #expect(read.bytes == written.bytes)
    }

    @Test(arguments: ["id", "filename", "size", "virtualsize"]) func whatDoesNotFitTogetherIsFound(_ name: String)
        throws
    {
        let key = TemplateKey(account: 1, id: 10)
        let template = Template(
            key: key, name: "a", summary: "b", fileName: "c.tar", size: ByteCount(512), isPublic: true, digest: nil)
        let checksum = try Checksum(parsing: "{SHA-256}" + String(repeating: "cd", count: 32))
        let written = TemplateProperties(template, checksum: nil, fileChecksum: checksum, registration: "r")
        let text = String(decoding: written.bytes, as: UTF8.self)
        let lines = text.split(separator: "\n").map { $0.hasPrefix("\(name)=") ? "\(name)=7" : $0 }
        let read = try TemplateProperties(parsing: Array(lines.joined(separator: "\n").utf8))
        let error = expect(.corrupt) { try read.checkConsistency(key) }
        #expect(error?.message.contains(name) == true)
    }
}
