// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LXCCore
import StoreFiles
import TestSupport
import Testing

/// Whether images are whole: as qemu-img makes them, cut short, and such as an attacker makes.
@Suite(.limited) struct QcowTablesTests {
    private let directory: ScratchDirectory

    init() throws { directory = try ScratchDirectory() }

    private func code(_ name: String) throws -> LXCError.Code? {
        let file = LocalFile(directory[name])
        do {
            let header = try #require(try QcowHeader.read(file))
            try header.checkTables(of: file.open(), name, Cancellation())
            return nil
        } catch let error as LXCError {
            return error.code
        }
    }

    private func qemu(_ arguments: String...) throws { try Command.run("/usr/bin/qemu-img", arguments) }

    /// Bytes no compressor makes smaller.
    private func makeRaw(_ count: Int) throws {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<(count + 7) / 8).flatMap { _ in withUnsafeBytes(of: generator.next()) { Array($0) } }
        try directory.write(Array(bytes.prefix(count)), to: "raw")
    }

    @Test(
        .host(.qemu),
        arguments: [
            [], ["-o", "compat=0.10"], ["-o", "cluster_size=512"], ["-o", "cluster_size=2M"], ["-c"],
            ["-c", "-o", "compression_type=zstd"], ["-o", "extended_l2=on,cluster_size=64k"],
            ["-o", "lazy_refcounts=on"],
            ["-o", "preallocation=metadata"], ["-o", "preallocation=falloc"], ["-o", "refcount_bits=1"],
        ])
    func whatQemuMakesIsWholeAndPartsOfItAreNot(_ options: [String]) throws {
        try makeRaw(4 << 20)
        let made = ["convert", "-q", "-O", "qcow2"] + options + [directory["raw"], directory["image"]]
        try Command.run("/usr/bin/qemu-img", made)
        #expect(try code("image") == nil)
        let bytes = try directory.read("image")
        for part in [200, 50_000, 300_000, bytes.count / 2, bytes.count - 140_000, bytes.count - 2_048] {
            try directory.write(Array(bytes.prefix(part)), to: "part")
            #expect(try code("part") == .corrupt, "\(part) of \(bytes.count) bytes, \(options)")
        }
    }

    @Test(.host(.qemu)) func aDiskThatFillsNoClusterIsWhole() throws {
        for size in [3_000_000, 512, 65_536 + 512] {
            try makeRaw(size)
            for options in [["-o", "cluster_size=2M"], ["-c"], []] {
                let made = ["convert", "-q", "-O", "qcow2"] + options + [directory["raw"], directory["image"]]
                try Command.run("/usr/bin/qemu-img", made)
                #expect(try code("image") == nil, "\(size) bytes, \(options)")
            }
        }
    }

    @Test(.host(.qemu)) func emptyGrownAndSnapshottedImagesAreWhole() throws {
        try qemu("create", "-q", "-f", "qcow2", directory["image"], "1G")
        #expect(try code("image") == nil)
        try qemu("resize", "-q", directory["image"], "100G")
        #expect(try code("image") == nil)
        try makeRaw(1 << 20)
        try qemu("convert", "-q", "-O", "qcow2", directory["raw"], directory["image"])
        try qemu("snapshot", "-c", "one", directory["image"])
        try qemu("bitmap", "--add", directory["image"], "changes")
        #expect(try code("image") == nil)
        let bytes = try directory.read("image")
        try directory.write(Array(bytes.prefix(bytes.count - 65_536)), to: "part")
        #expect(try code("part") == .corrupt)
    }

    /// Writes a number over the image's, big-endian.
    private func change(_ offset: Int, to number: some FixedWidthInteger) throws {
        var bytes = try directory.read("image")
        withUnsafeBytes(of: number.bigEndian) { bytes.replaceSubrange(offset..<offset + $0.count, with: $0) }
        try directory.write(bytes, to: "changed")
    }

    @Test(.host(.qemu)) func hostileTablesAreRefused() throws {
        try makeRaw(1 << 20)
        try qemu("convert", "-q", "-O", "qcow2", directory["raw"], directory["image"])
        let bytes = try directory.read("image")
        let number = { (offset: Int) in bytes[offset..<offset + 8].reduce(0) { $0 << 8 | Int($1) } }
        let (first, second) = (number(40), number(number(40)) & 0x00FF_FFFF_FFFF_FE00)
        for (what, offset, value, expected) in [
            ("an L1 table of 4 Gi entries", 36, UInt64(UInt32.max) << 32, LXCError.Code.limitExceeded),
            ("an L1 table at the end of numbers", 40, .max - 65_535, .corrupt),
            ("one at an odd place", 40, 65_537, .corrupt),
            ("no L1 table", 36, 0, .corrupt), ("a refcount table far away", 48, 1 << 40, .corrupt),
            ("a huge refcount table", 56, UInt64(UInt32.max) << 32, .corrupt),
            ("snapshots without end", 60, UInt64(UInt32.max) << 32, .limitExceeded),
            ("snapshots that are not there", 60, 1 << 32, .corrupt),
            ("an L2 table behind the end", first, 1 << 50, .corrupt), ("reserved bits", first, 1 << 60, .corrupt),
            ("a cluster behind the end", second, 1 << 50, .corrupt), ("one at an odd place", second, 512, .corrupt),
            ("a compressed one behind the end", second, 1 << 62 | 1 << 40, .corrupt),
        ] as [(String, Int, UInt64, LXCError.Code)] {
            try change(offset, to: value)
            #expect(try code("changed") == expected, "\(what)")
        }
    }

    @Test func tablesThatAllLeadToOneAreReadOnce() throws {
        // The largest L1 table there may be; every entry leads to the same L2 table of 2 MiB.
        var image = QcowImage()
        image.clusterBits = 16
        image.virtualSize = 1 << 49
        var bytes = image.bytes
        let table = bytes.count / 65_536 * 65_536 + 65_536
        bytes += [UInt8](repeating: 0, count: table + 65_536 - bytes.count)
        let entry = withUnsafeBytes(of: UInt64(table).bigEndian) { Array($0) }
        for place in stride(from: 3 * 65_536, to: 3 * 65_536 + (1 << 20) * 8, by: 8) {
            bytes.replaceSubrange(place..<place + 8, with: entry)
        }
        try directory.write(bytes, to: "image")
        let start = ContinuousClock.now
        #expect(try code("image") == nil)
        // One table for each entry would be 64 GiB.
        #expect(ContinuousClock.now - start < .seconds(60))
    }

    @Test(.host(.qemu)) func halfAnImageIsNotCopied() throws {
        try makeRaw(1 << 20)
        try qemu("convert", "-q", "-O", "qcow2", directory["raw"], directory["image"])
        try directory.write(Array(directory.read("image").prefix(400_000)), to: "half")
        let image = DiskImage(path: directory["half"])
        #expect(throws: LXCError.self) {
            try image.copy(to: NewLocalFile(directory["copy"]), Cancellation(), progress: nil)
        }
        #expect(!FileManager.default.fileExists(atPath: directory["copy"]))
    }
}
