// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import TarArchive
import TestSupport
import Testing

/// What the records of pax headers say, for one entry and for all.
@Suite(.limited)
struct PaxRecordTests {
    private func entries(_ build: (inout TarBuilder) -> Void) throws -> [TreeEntry] {
        var builder = TarBuilder()
        build(&builder)
        return try readAll(builder.finished()).entries.map(\.entry)
    }

    private func seconds(_ build: (inout TarBuilder) -> Void) throws -> [Int64] {
        try entries(build).map(\.modified.seconds)
    }

    @Test func recordsForAllHoldUntilOthersReplaceThem() throws {
        let global = { (value: String) in [("mtime", Array(value.utf8)), ("comment", Array(value.utf8))] }
        let times = try seconds {
            $0.add("a", modified: 1)
            $0.addPax(global("2"), type: "g")
            $0.add("b", modified: 1)
            $0.addPax(["mtime": "3"])
            $0.add("c", modified: 1)
            $0.add("d", modified: 1)
            $0.addPax(["mtime": "4", "uid": "5"])
            $0.addPax(global("6"), type: "g")
            $0.add("e", modified: 1)
            $0.addPax(["mtime": ""])
            $0.add("f", modified: 1)
            $0.add("g", modified: 1)
            $0.addPax(global(""), type: "g")
            $0.add("h", modified: 1)
        }
        #expect(times == [1, 2, 3, 2, 4, 1, 6, 1])
    }

    @Test func recordsForAllMayBeRepeatedForEver() throws {
        let times = try seconds {
            for index in 0..<300 {
                $0.addPax([("mtime", Array("\(index)".utf8)), ("comment", Array("\(index)".utf8))], type: "g")
                $0.add("\(index)")
            }
        }
        #expect(times == (0..<300).map { $0 })
    }

    @Test func theLastOfSeveralCounts() throws {
        let entries = try entries {
            $0.addPax([
                ("mtime", Array("1".utf8)), ("SCHILY.xattr.user.a", [1]), ("mtime", Array("2".utf8)),
                ("SCHILY.xattr.user.a", [2]),
            ])
            $0.add("f")
        }
        #expect(entries.map(\.modified.seconds) == [2])
        #expect(entries[0].attributes == [TreeEntry.Attribute(name: try #require(AttributeName("user.a")), value: [2])])
    }

    /// No reader puts two headers together, and GNU tar forgets the first.
    @Test func theLastOfSeveralHeadersCounts() throws {
        let entries = try entries {
            $0.addPax(["size": "512", "mtime": "1", "SCHILY.xattr.user.a": "1"])
            $0.addPax(["mtime": "3"])
            $0.add("f", size: 1_024, data: [UInt8](repeating: 7, count: 1_024))
            $0.add("last")
        }
        #expect(entries.map(\.modified.seconds) == [3, 0])
        #expect(entries[0].kind == .file(size: 1_024))
        #expect(entries[0].attributes.isEmpty)
    }

    @Test func headersHoldForTheNextRealEntry() throws {
        let entries = try entries {
            $0.addPax(["size": "5"])
            $0.add("././@LongLink", type: "L", data: Array("long\u{0}".utf8))
            $0.addPax([("mtime", Array("7".utf8))], type: "g")
            $0.add("f", size: 1_024, data: Array("12345".utf8))
            $0.add("last")
        }
        #expect(entries.map(\.path.description) == ["long", "last"])
        #expect(entries.map(\.kind) == [.file(size: 5), .file(size: 0)])
        #expect(entries.map(\.modified.seconds) == [7, 7])
    }

    @Test(
        arguments: [
            ("0", 0, 0), ("-1", -1, 0), ("+7", 7, 0), ("1.5", 1, 500_000_000), ("-1.25", -2, 750_000_000),
            ("-.5", -1, 500_000_000), (".000000001", 0, 1), ("1.0000000019", 1, 1), ("12.", 12, 0),
            ("9223372036854775807", .max, 0), ("-9223372036854775808", .min, 0),
        ] as [(String, Int64, UInt32)])
    func timesAreDecimalNumbers(text: String, seconds: Int64, nanoseconds: UInt32) throws {
        let entries = try entries {
            $0.addPax(["mtime": text])
            $0.add("f")
        }
        #expect(entries.map(\.modified) == [Timestamp(seconds: seconds, nanoseconds: nanoseconds)])
    }

    @Test(arguments: [
        "mtime=x", "mtime=1.x", "mtime=1.5.5", "mtime= 1", "mtime=--1", "mtime=9223372036854775808",
        "mtime=-9223372036854775808.5", "uid=1x", "uid=0x10", "uid=9223372036854775808", "gid=1.0", "size=-",
    ])
    func whatIsNoNumberIsCorrupt(record: String) throws {
        let parts = record.split(separator: "=", maxSplits: 1)
        let code = errorCode {
            _ = try entries {
                $0.addPax([(String(parts[0]), Array(parts[1].utf8))])
                $0.add("f")
            }
        }
        #expect(code == .corrupt)
    }

    @Test(arguments: [
        "5 a=\n", "6 a=b\n\u{0}\u{0}", "0000000015 a=b\n",
    ])
    func recordsMayBe(header: String) throws {
        let entries = try entries {
            $0.add("x", type: "x", data: Array(header.utf8))
            $0.add("f")
        }
        #expect(entries.count == 1)
    }

    @Test(arguments: [
        "6 a=b", "7 a=b\n", "5 a=b\n", "6a=b\n", " 6 a=b\n", "6 abc\n", "x a=b\n", "-6 a=b\n", "+6 a=b\n", "2 \n",
        "3 \n",
        "1\n", "6 a=b\n\u{0}x", "6 a=b\n6 a=b", "99999999999999999999999 a=b\n", "0 a=b\n",
    ])
    func recordsMayNotBe(header: String) throws {
        let code = errorCode {
            _ = try entries {
                $0.add("x", type: "x", data: Array(header.utf8))
                $0.add("f")
            }
        }
        #expect(code == .corrupt)
    }
}
