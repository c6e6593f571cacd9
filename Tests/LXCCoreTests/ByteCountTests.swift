// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import TestSupport
import Testing

@Suite(.limited)
struct ByteCountTests {
    @Test(
        arguments: [
            ("0", 0), ("1024", 1024), ("7B", 7), ("4K", 4096), ("4k", 4096), ("4KiB", 4096), ("512MiB", 536_870_912),
            ("512 mib", 536_870_912), ("2 GiB", 2_147_483_648), ("2G", 2_147_483_648), ("1T", 1 << 40),
            ("1TiB", 1 << 40),
            ("0007", 7), ("18446744073709551615", UInt64.max), ("16777215TiB", 16_777_215 << 40),
        ] as [(String, UInt64)])
    func parses(_ text: String, _ bytes: UInt64) throws {
        #expect(try ByteCount(parsing: text) == ByteCount(bytes))
    }

    @Test(arguments: [
        "", " ", "B", "KiB", "-1", "+1", "1.5GiB", "1,5G", "1e3", "0x10", " 1", "1\n", "1 K B", "1KB", "1 MB", "1X",
        "1PiB",
        "18446744073709551616", "16777216TiB", "99999999999999999999999999", "١", "１", "1\u{301}", "K1", "1\u{0}",
    ])
    func refuses(_ text: String) {
        let error = expect(.invalidArgument) { try ByteCount(parsing: text) }
        #expect(error?.message.contains("is not a size") == true)
    }

    @Test(
        arguments: [
            (0, "0 B"), (1, "1 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (1 << 20, "1.0 MiB"),
            ((1 << 20) - 1, "1.0 MiB"), ((1 << 30) - 1, "1.0 GiB"), (1_048_524, "1023.9 KiB"), (3 << 29, "1.5 GiB"),
            (1 << 40, "1.0 TiB"), (1 << 50, "1.0 PiB"), (1 << 60, "1.0 EiB"), (UInt64.max, "16.0 EiB"),
        ] as [(UInt64, String)])
    func prints(_ bytes: UInt64, _ text: String) {
        #expect(ByteCount(bytes).description == text)
    }

    @Test func unitsAreBinary() {
        #expect(ByteCount.kibibytes(1).bytes == 1024)
        #expect(ByteCount.mebibytes(3).bytes == 3 * 1024 * 1024)
        #expect(ByteCount.gibibytes(2).bytes == 2 * 1024 * 1024 * 1024)
    }

    @Test func whatDoesNotFitIsTheMostThereIsAndNeverLess() {
        #expect(ByteCount.kibibytes(UInt64.max >> 10).bytes == UInt64.max - 1023)
        #expect(ByteCount.kibibytes((UInt64.max >> 10) + 1).bytes == .max)
        #expect(ByteCount.mebibytes(.max).bytes == .max)
        #expect(ByteCount.gibibytes(1 << 34).bytes == .max)
    }

    @Test func wholeKibibytesRoundUp() {
        #expect(ByteCount(0).kibibytes == 0)
        #expect(ByteCount(1).kibibytes == 1)
        #expect(ByteCount(1024).kibibytes == 1)
        #expect(ByteCount(1025).kibibytes == 2)
        #expect(ByteCount(.max).kibibytes == 1 << 54)
    }

    @Test func ordersAndCodesAsANumber() throws {
        #expect(ByteCount(1) < ByteCount(2))
        #expect(String(decoding: try JSONEncoder().encode([ByteCount(42)]), as: UTF8.self) == "[42]")
        #expect(try JSONDecoder().decode([ByteCount].self, from: Data("[42]".utf8)) == [ByteCount(42)])
        #expect(throws: (any Error).self) { try JSONDecoder().decode([ByteCount].self, from: Data("[-1]".utf8)) }
    }
}
