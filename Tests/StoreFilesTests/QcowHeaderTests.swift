// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LXCCore
import StoreFiles
import TestSupport
import Testing

/// Headers of disk images, among them such as an attacker makes.
@Suite struct QcowHeaderTests {
    private func image(_ change: (inout QcowImage) -> Void) -> [UInt8] {
        var image = QcowImage()
        change(&image)
        return image.bytes
    }

    private func code(_ bytes: [UInt8]) -> LXCError.Code? {
        do {
            try QcowHeader(parsing: bytes).requireBase("the image", maximumSize: 1 << 30)
            return nil
        } catch {
            return (error as? LXCError)?.code
        }
    }

    @Test(arguments: [2, 3] as [UInt32]) func whatIsCompleteIsRead(version: UInt32) throws {
        let bytes = image { $0.version = version }
        let header = try QcowHeader(parsing: bytes)
        #expect(header.virtualSize == 1 << 20 && header.backingFile == nil)
        #expect(!header.hasExternalData && !header.isEncrypted)
        #expect(code(bytes) == nil)
    }

    @Test func extensionsThatNameNoFileAreAccepted() {
        // The feature name table, and a type nobody knows.
        #expect(code(image { $0.extensions = [(0x6803_F857, 3, [1, 2, 3, 0, 0, 0, 0, 0]), (7, 0, [])] }) == nil)
        // Dirty, zstd, extended L2 entries.
        #expect(code(image { $0.features = 0b11001 }) == nil)
    }

    @Test(arguments: [2, 3] as [UInt32]) func aBackingFileIsSeenAndRefused(version: UInt32) throws {
        let bytes = image {
            $0.version = version
            $0.backingFile = "/etc/shadow"
        }
        #expect(try QcowHeader(parsing: bytes).backingFile == "/etc/shadow")
        #expect(code(bytes) == .unsafe)
    }

    @Test func anExternalDataFileIsRefusedHoweverItIsSaid() {
        #expect(code(image { $0.features = 1 << 2 }) == .unsafe)
        let name = Array("/etc/shadow".utf8) + [0, 0, 0, 0, 0]
        #expect(code(image { $0.extensions = [(7, 0, []), (0x4441_5441, 11, name)] }) == .unsafe)
        // Also where another file's name follows.
        let both = image {
            $0.extensions = [(0x4441_5441, 11, name)]
            $0.backingFile = "/base"
        }
        #expect(throws: LXCError.self) { try QcowHeader(parsing: both).requireOwnContents("it") }
    }

    @Test func whatCannotBeUsedIsRefused() {
        #expect(code(image { $0.encryption = 1 }) == .unsupported)
        #expect(code(image { $0.features = 1 << 5 }) == .unsupported)
        #expect(code(image { $0.features = 1 << 63 }) == .unsupported)
        #expect(code(image { $0.features = 1 << 1 }) == .corrupt)
        #expect(code(image { $0.version = 1 }) == .unsupported)
        #expect(code(image { $0.version = 4 }) == .unsupported)
        #expect(code(image { $0.virtualSize = 1 << 31 }) == .limitExceeded)
        #expect(code(image { $0.virtualSize = 0 }) == .corrupt)
        #expect(code(image { $0.virtualSize = .max }) == .corrupt)
    }

    @Test func placesOutsideOfTheHeaderAreRefused() {
        for bits in [0, 8, 22, 63, UInt32.max] { #expect(code(image { $0.clusterBits = bits }) == .corrupt, "\(bits)") }
        for length in [0, 72, 105, 1 << 17, UInt32.max] {
            #expect(code(image { $0.headerLength = length }) == .corrupt, "\(length)")
        }
        for length in [1 << 16, UInt32.max] {
            #expect(code(image { $0.extensions = [(7, length, [])] }) == .corrupt, "\(length)")
        }
        for (offset, size) in [(UInt64.max, 1), (1 << 40, 1), (104, 1024), (104, UInt32.max)] as [(UInt64, UInt32)] {
            var bytes = image { _ in }
            bytes.replaceSubrange(8..<16, with: withUnsafeBytes(of: offset.bigEndian) { Array($0) })
            bytes.replaceSubrange(16..<20, with: withUnsafeBytes(of: size.bigEndian) { Array($0) })
            #expect(code(bytes) == .corrupt, "\(offset) \(size)")
        }
    }

    @Test func whatEndsEarlyOrIsChangedIsNeverTakenForMore() {
        let whole = image { $0.backingFile = "/etc/shadow" }
        // As long as the header is whole it is seen that there is a backing file.
        for length in 0..<whole.count { #expect(code(Array(whole[..<length])) != nil, "\(length)") }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            var bytes = image { $0.extensions = [(7, 4, [1, 2, 3, 4, 0, 0, 0, 0])] }
            for _ in 0..<3 {
                bytes[Int.random(in: 4..<140, using: &generator)] = .random(in: 0...255, using: &generator)
            }
            // Ends by an error or not; never traps, and never with a file's name accepted.
            if code(bytes) == nil, let header = try? QcowHeader(parsing: bytes) {
                #expect(header.backingFile == nil && !header.hasExternalData, "\(bytes)")
            }
        }
    }

    @Test func otherFilesAreNone() throws {
        let directory = try ScratchDirectory()
        try directory.write([UInt8](repeating: 0, count: 4096), to: "raw")
        try directory.write([], to: "empty")
        try directory.write(image { _ in }, to: "image")
        #expect(try QcowHeader.read(LocalFile(directory["raw"])) == nil)
        #expect(try QcowHeader.read(LocalFile(directory["empty"])) == nil)
        #expect(try QcowHeader.read(LocalFile(directory["image"]))?.virtualSize == 1 << 20)
    }

    /// What QEMU's own program makes is read as it meant it.
    @Test(.host(.qemu)) func imagesOfQEMUAreRead() throws {
        let directory = try ScratchDirectory()
        let make = { (name: String, options: [String]) in
            try Command.run("/usr/bin/qemu-img", ["create", "-q", "-f", "qcow2"] + options + [directory[name], "64M"])
            return try #require(try QcowHeader.read(LocalFile(directory[name])))
        }
        #expect(try make("plain", []) == make("old", ["-o", "compat=0.10"]))
        #expect(try make("plain", []).virtualSize == 64 << 20)
        let overlay = try make("overlay", ["-b", directory["plain"], "-F", "qcow2"])
        #expect(overlay.backingFile == directory["plain"])
        #expect(try make("split", ["-o", "data_file=\(directory["data"])"]).hasExternalData)
    }
}
