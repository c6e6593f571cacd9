// SPDX-License-Identifier: Apache-2.0

import CLZMA
import FileTree
import LXCCore
import TarArchive
import TestSupport
import Testing

/// Files that ask their decoder for more memory than is given, at their start or anywhere later.
@Suite(.limited)
struct DecoderWindowTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private static var sample: [UInt8] {
        var builder = TarBuilder()
        builder.add("file", data: (0..<3_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        builder.add("link", type: "2", link: "file")
        return builder.finished()
    }

    @Test(arguments: [
        "xz --lzma2=preset=0,dict=%", "xz --block-size=1000 --lzma2=preset=0,dict=%",
        "xz --x86 --lzma2=preset=0,dict=%",
        "xz --format=lzma --lzma1=preset=0,dict=%",
    ])
    func largeDictionariesAreRefused(command: String) throws {
        let code = { (size: String) in
            let packed = try scratch.compress(
                Self.sample, with: command.replacing("%", with: size))
            return errorCode { _ = try readAll(packed) }
        }
        #expect(try code("128MiB") == nil)
        #expect(try code("129MiB") == .limitExceeded)
        #expect(try code("384MiB") == .limitExceeded)
    }

    @Test func largeZstdWindowsAreRefused() throws {
        _ = try scratch.write(Self.sample, to: "plain")
        try scratch.shell(
            "zstd -q --long=27 < plain > 27; zstd -q --ultra --long=28 < plain > 28; zstd -q --long=31 < plain > 31")
        #expect(try readAll(scratch("27")).entries.count == 2)
        expect(.limitExceeded) { _ = try readAll(scratch("28")) }
        expect(.limitExceeded) { _ = try readAll(scratch("31")) }
        // One segment, as large as its contents are said to be.
        let segment: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0xA0, 0, 0, 0, 0x40, 0, 0, 0]
        expect(.limitExceeded) { _ = try readAll(segment) }
    }

    private static let halves = [Array(sample[..<2048]), Array(sample[2048...])]

    @Test(arguments: [
        ("xz", "xz --lzma2=preset=0,dict=128MiB", "xz --lzma2=preset=0,dict=1GiB"),
        ("zstd -q", "zstd -q --long=27", "zstd -q --ultra --long=31"),
    ])
    func laterFilesInARowAreHeldToIt(first: String, small: String, large: String) throws {
        let packed = try scratch.compress(Self.halves[0], with: first)
        _ = try scratch.write(Self.halves[1], to: "half")
        // From its input, whose size it does not know, zstd takes the whole window it is given.
        try scratch.shell("\(small) -c < half > small; \(large) -c < half > large")
        #expect(try readAll(packed + scratch.read("small")).entries.count == 2)
        let error = expect(.limitExceeded) { try readAll(packed + scratch.read("large")) }
        #expect(error?.message.contains("window of more than 134217728 bytes; compress it with a smaller one") == true)
    }

    @Test func laterBlocksOfAnXzFileAreHeldToIt() throws {
        #expect(try readAll(Self.blocks(dictionaries: [1 << 20, 128 << 20])).entries.count == 2)
        let hostile = try Self.blocks(dictionaries: [1 << 20, 1 << 30])
        #expect(hostile.count < 4096)
        expect(.limitExceeded) { _ = try readAll(hostile) }
    }

    /// The sample as one xz stream of two blocks, each with a dictionary of its own, as xz(1) writes none.
    private static func blocks(dictionaries: [UInt32]) throws -> [UInt8] {
        var stream = lzma_stream()
        defer { lzma_end(&stream) }
        var packed = [UInt8](repeating: 0, count: 1 << 16)
        let count = try packed.withUnsafeMutableBufferPointer { room in
            stream.next_out = room.baseAddress
            stream.avail_out = room.count
            for (index, (half, dictionary)) in zip(halves, dictionaries).enumerated() {
                var options = lzma_options_lzma()
                try #require(lzma_lzma_preset(&options, 0) == 0)
                options.dict_size = dictionary
                try withUnsafeMutablePointer(to: &options) { options in
                    let end = lzma_filter(id: .max, options: nil)
                    let filters = [lzma_filter(id: 0x21, options: UnsafeMutableRawPointer(options)), end]
                    let isFirst = index == 0
                    try #require(!isFirst || lzma_stream_encoder(&stream, filters, LZMA_CHECK_CRC32) == LZMA_OK)
                    try #require(isFirst || lzma_filters_update(&stream, filters) == LZMA_OK)
                }
                try half.withUnsafeBufferPointer { bytes in
                    stream.next_in = bytes.baseAddress
                    stream.avail_in = bytes.count
                    let isLast = index == halves.count - 1
                    try #require(lzma_code(&stream, isLast ? LZMA_FINISH : LZMA_FULL_FLUSH) == LZMA_STREAM_END)
                }
            }
            return room.count - stream.avail_out
        }
        return Array(packed[..<count])
    }
}
