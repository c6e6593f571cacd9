// SPDX-License-Identifier: Apache-2.0

import FileTree
import TarArchive
import TestSupport
import Testing

/// One way to compress an archive and to read it again: every format, with every decoder there is for it.
struct Packing: CustomTestStringConvertible, Sendable {
    /// The compressor, which takes `-c`.
    var command: String
    var reading = ArchiveReading()
    var testDescription: String

    /// Whether the format, as the compressor writes it, lets no damage of the contents go unseen.
    var isChecked = true
    /// Whether several files in a row are one.
    var isChainable = true

    init(_ command: String, _ note: String = "") {
        self.command = command
        testDescription = command + note
    }

    /// gzip, by each of the engines.
    static let gzip = GzipEngine.allCases.map { engine in
        var packing = Packing("gzip -n", " by \(engine)")
        packing.reading.gzip = engine
        return packing
    }

    /// All formats.
    static let all: [Packing] =
        gzip + [
            Packing("bzip2"), Packing("xz"), Packing("xz --check=crc32 --block-size=1000"), Packing("zstd -q --check"),
            Packing("lz4 -q"),
            with(Packing("xz --format=lzma")) {
                $0.isChecked = false
                $0.isChainable = false
            },
            with(Packing("zstd -q --no-check")) { $0.isChecked = false },
            with(Packing("lz4 -q --no-frame-crc")) { $0.isChecked = false },
        ]

    /// One of each format and decoder, for tests that read it thousands of times.
    static let each = all.filter {
        !["xz --check=crc32 --block-size=1000", "zstd -q --no-check"].contains($0.command)
    }

    static let chainable = all.filter(\.isChainable)

    private static func with(_ packing: Packing, _ change: (inout Packing) -> Void) -> Packing {
        var changed = packing
        change(&changed)
        return changed
    }

    /// The same, reading so many bytes of the file at a time.
    func reading(chunkBytes: Int) -> Packing { Self.with(self) { $0.reading.chunkBytes = chunkBytes } }

    /// Packs bytes.
    func pack(_ bytes: [UInt8], in scratch: ScratchDirectory) throws -> [UInt8] {
        try scratch.compress(bytes, with: command)
    }

    /// Reads a packed archive given as bytes.
    func read(_ bytes: some Collection<UInt8>, in scratch: ScratchDirectory) throws -> [ReadEntry] {
        try readAll(scratch.write(Array(bytes), to: "packed-archive"), reading: reading).entries
    }
}
