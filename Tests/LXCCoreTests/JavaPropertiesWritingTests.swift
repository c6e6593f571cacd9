// SPDX-License-Identifier: Apache-2.0

import LXCCore
import TestSupport
import Testing

/// What `java.util.Properties.store` documents, and that reading is its inverse.
@Suite(.limited)
struct JavaPropertiesWritingTests {
    private func store(_ pairs: KeyValuePairs<String, String>, comment: String? = nil) -> String {
        var properties = JavaProperties()
        for (key, value) in pairs { properties[key] = value }
        return String(decoding: properties.serialized(comment: comment), as: UTF8.self)
    }

    @Test func plainPairsInOrder() {
        #expect(store(["b": "1", "a": "x y"]) == "b=1\na=x y\n")
        #expect(store([:]) == "")
        #expect(store(["": ""]) == "=\n")
    }

    @Test(arguments: [
        // In keys every space is escaped; in values only the first.
        (" a b ", " c d ", "\\ a\\ b\\ =\\ c d \n"),
        ("a", "   ", "a=\\   \n"),
        // White space other than the space, the backslash and the four marks.
        ("\t\n\u{C}\r", "\t\n\u{C}\r", "\\t\\n\\f\\r=\\t\\n\\f\\r\n"),
        ("a=b:c#d!e\\f", "a=b:c#d!e\\f", "a\\=b\\:c\\#d\\!e\\\\f=a\\=b\\:c\\#d\\!e\\\\f\n"),
        // Below 0x20 and above 0x7E: four digits in upper case, UTF-16 units.
        ("\u{0}", "\u{1F}~\u{7F}", "\\u0000=\\u001F~\\u007F\n"),
        ("é", "\u{A0}日\u{1F600}", "\\u00E9=\\u00A0\\u65E5\\uD83D\\uDE00\n"),
        ("uuid", "402b0be5-b840-3fef-b292-d330f3bf809a", "uuid=402b0be5-b840-3fef-b292-d330f3bf809a\n"),
    ])
    func escapes(_ key: String, _ value: String, _ line: String) {
        #expect(store([key: value]) == line)
    }

    @Test func everyLineOfTheCommentIsAComment() throws {
        let text = store(["a": "1"], comment: "first\nsecond\r\nevil=1\rü")
        #expect(text == "#first\n#second\n#evil=1\n#\\u00FC\na=1\n")
        #expect(try JavaProperties(parsing: Array(text.utf8)).keys == ["a"])
    }

    @Test func theFileIsASCII() {
        var properties = JavaProperties()
        properties["ключ"] = "\u{10FFFF}"
        #expect(properties.serialized(comment: "日本").allSatisfy { $0 < 0x80 })
    }

    @Test(arguments: 0..<400)
    func readingIsTheInverse(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var properties = JavaProperties()
        for _ in 0..<Int.random(in: 0...20, using: &random) {
            properties[text(&random)] = text(&random)
        }
        let read = try JavaProperties(parsing: properties.serialized(comment: text(&random)))
        #expect(read == properties)
        // String equality forgives another normalization; the scalars must be the same as well.
        for (mine, theirs) in zip(properties.keys, read.keys) {
            #expect(Array(mine.unicodeScalars) == Array(theirs.unicodeScalars))
            #expect(properties[mine].map { Array($0.unicodeScalars) } == read[theirs].map { Array($0.unicodeScalars) })
        }
    }

    private func text(_ random: inout SeededRandom) -> String {
        var scalars = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0...12, using: &random) { scalars.append(scalar(&random)) }
        return String(scalars)
    }

    private func scalar(_ random: inout SeededRandom) -> Unicode.Scalar {
        let special: [Unicode.Scalar] = [
            " ", "\t", "\n", "\r", "\u{C}", "\\", "=", ":", "#", "!", "u", "\u{0}", "\u{85}",
        ]
        let ranges: [ClosedRange<UInt32>] = [
            0...0x1F, 0x20...0x7E, 0x7F...0xFF, 0x100...0xD7FF, 0xE000...0xFFFF, 0x10000...0x10FFFF,
        ]
        if Bool.random(using: &random), let chosen = special.randomElement(using: &random) { return chosen }
        let range = ranges.randomElement(using: &random) ?? 0x20...0x7E
        return Unicode.Scalar(UInt32.random(in: range, using: &random)) ?? "x"
    }
}
