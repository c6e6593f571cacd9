// SPDX-License-Identifier: Apache-2.0

import LXCCore
import TestSupport
import Testing

/// What `java.util.Properties.load` documents, case by case.
@Suite(.limited)
struct JavaPropertiesReadingTests {
    /// The pairs of a file given as text of which every scalar is one byte.
    private func load(_ text: String) throws -> [String: String] {
        let properties = try JavaProperties(parsing: text.unicodeScalars.map { UInt8($0.value) })
        return properties.keys.reduce(into: [:]) { $0[$1] = properties[$1] }
    }

    @Test(
        arguments: [
            // Separators and white space.
            ("key=value", ["key": "value"]), ("key:value", ["key": "value"]), ("key value", ["key": "value"]),
            ("key\tvalue", ["key": "value"]), ("key\u{C}value", ["key": "value"]),
            ("  \t\u{C}key \t = \u{C} value", ["key": "value"]), ("key = value  ", ["key": "value  "]),
            ("key==value", ["key": "=value"]), ("key=:value", ["key": ":value"]), ("key = = value", ["key": "= value"]),
            ("key : = value", ["key": "= value"]), ("a b c", ["a": "b c"]), ("a b=c", ["a": "b=c"]),
            ("Truth = Beauty", ["Truth": "Beauty"]), (" Truth:Beauty", ["Truth": "Beauty"]),
            ("Truth                    :Beauty", ["Truth": "Beauty"]),
            // Empty keys and values.
            ("key", ["key": ""]), ("key=", ["key": ""]), ("key:", ["key": ""]), ("=value", ["": "value"]),
            ("=", ["": ""]),
            (":", ["": ""]), ("", [:]), ("   ", [:]), ("\n\r\n\r\u{C}\n", [:]),
            // Line ends.
            ("a=1\nb=2", ["a": "1", "b": "2"]), ("a=1\rb=2", ["a": "1", "b": "2"]),
            ("a=1\r\nb=2\r\n", ["a": "1", "b": "2"]),
            ("a=1\n\n\n b=2", ["a": "1", "b": "2"]), ("a=1\n\rb=2", ["a": "1", "b": "2"]),
            // Comments.
            ("# no\n! no\n  # no\nkey=value", ["key": "value"]), ("key=#value", ["key": "#value"]),
            ("#no\\\nkey=value", ["key": "value"]), ("key!=value", ["key!": "value"]), ("#only", [:]),
            // Continued lines.
            ("fruits  apple, banana, \\\n    cherry", ["fruits": "apple, banana, cherry"]),
            ("a=1\\\r\n  2", ["a": "12"]), ("a=1\\\r2", ["a": "12"]), ("a=1\\\\\nb=2", ["a": "1\\", "b": "2"]),
            ("a=1\\\\\\\n2", ["a": "1\\2"]), ("a=1\\\\\\\\\nb=2", ["a": "1\\\\", "b": "2"]),
            ("a=1\\\n#2", ["a": "1#2"]), ("a=1\\\n   \nb=2", ["a": "1", "b": "2"]), ("a=1\\\n", ["a": "1"]),
            ("a=1\\", ["a": "1"]), ("ke\\\n  y=va\\\n  lue", ["key": "value"]), ("a\\\n=b", ["a": "b"]),
            ("a=\\\n  \\ b", ["a": " b"]),
            // A line that is nothing but a continuation starts nothing.
            ("\\\n#no\nb=2", ["b": "2"]), ("\\\n\na=1", ["a": "1"]), ("\\\n  a=1", ["a": "1"]), ("\\\n   ", [:]),
            // Escapes.
            ("a=\\t\\n\\f\\r", ["a": "\t\n\u{C}\r"]), ("a=\\q\\b\\\"\\'", ["a": "qb\"'"]), ("a=\\\\n", ["a": "\\n"]),
            ("a\\ b=c", ["a b": "c"]), ("a\\=b=c", ["a=b": "c"]), ("a\\:b:c", ["a:b": "c"]), ("\\:\\==v", [":=": "v"]),
            ("\\#a=b", ["#a": "b"]), ("\\!a=b", ["!a": "b"]), ("a\\\\=b", ["a\\": "b"]), ("\\ =x", [" ": "x"]),
            ("a=\\ b", ["a": " b"]),
            // ISO-8859-1 and Unicode.
            ("caf\u{E9}=na\u{EF}ve", ["café": "naïve"]), ("a=\u{FF}\u{80}", ["a": "\u{FF}\u{80}"]),
            ("a=\\u00e9\\u00E9\\u65e5", ["a": "éé日"]), ("\\u0041=b", ["A": "b"]), ("a=\\u003D\\u0020b", ["a": "= b"]),
            ("a\\u003Db=c", ["a=b": "c"]), ("a=\\ud83d\\ude00", ["a": "\u{1F600}"]), ("a=\\u00\\\n41", ["a": "A"]),
            ("a=\\\\u0041", ["a": "\\u0041"]), ("a=\\u0000", ["a": "\u{0}"]), ("a=\\uFFFF", ["a": "\u{FFFF}"]),
            // The last of two wins.
            ("a=1\na=2", ["a": "2"]), ("a=1\n\\u0061=2", ["a": "2"]),
        ] as [(String, [String: String])])
    func reads(_ text: String, _ expected: [String: String]) throws {
        #expect(try load(text) == expected)
    }

    @Test(arguments: [
        ("a=\\u", 1), ("a=\\u12", 1), ("a=\\u12G4", 1), ("a=\\u 123", 1), ("a=\\u+123", 1), ("\\uXXXX=1", 1),
        ("a=1\nb=2\n\nc=\\u00", 4), ("#\\u\na=\\u1", 2), ("a=1\r\nb=\\uzzzz", 2), ("a=1\\\n2\nb=\\u", 3),
        ("a=\\u12\\u3456", 1), ("a=\\uD83\u{FF}", 1),
    ])
    func malformedEscapesAreCorruptAndNameTheLine(_ text: String, _ line: Int) {
        let error = expect(.corrupt) { try load(text) }
        #expect(error?.message.hasPrefix("line \(line) of the properties") == true, "\(error?.message ?? "")")
    }

    @Test func loneSurrogatesBecomeTheReplacementCharacter() throws {
        #expect(try load("a=\\ud83dx") == ["a": "\u{FFFD}x"])
    }

    @Test func keysKeepTheirFirstPlace() throws {
        let properties = try JavaProperties(parsing: Array("b=1\na=2\nb=3\nc=4".utf8))
        #expect(properties.keys == ["b", "a", "c"])
        #expect(properties["b"] == "3")
    }

    @Test func aTrailingEvenNumberOfBackslashesEndsTheFile() throws {
        for count in 1...9 {
            let text = "a=" + String(repeating: "\\", count: count)
            #expect(try load(text) == ["a": String(repeating: "\\", count: count / 2)], "\(count)")
        }
    }

    @Test func settingNilRemoves() {
        var properties = JavaProperties()
        properties["a"] = "1"
        properties["b"] = "2"
        properties["a"] = nil
        properties["missing"] = nil
        #expect(properties.keys == ["b"])
        #expect(properties["a"] == nil)
    }

    @Test func readsTheFileCloudStackWrites() throws {
        let text = """
            #Thu Jul 18 11:22:33 UTC 2013
            filename=402b0be5-b840-3fef-b292-d330f3bf809a.tar
            description=Ubuntu 12.04 \\: minimal
            checksum=
            hvm=false
            size=167936000

            """
        let properties = try JavaProperties(parsing: Array(text.utf8))
        #expect(properties.keys == ["filename", "description", "checksum", "hvm", "size"])
        #expect(properties["description"] == "Ubuntu 12.04 : minimal")
        #expect(properties["checksum"] == "")
        #expect(properties["size"] == "167936000")
    }
}
