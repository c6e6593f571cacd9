// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import TarArchive
import TestSupport
import Testing

/// Formats told by content: those that are read, and those that are named.
@Suite(.limited)
struct FormatTests {
    private static let hasBsdtar = (try? TreeShell.run("command -v bsdtar")) != nil

    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private static var sample: [UInt8] {
        var builder = TarBuilder()
        builder.add("file", data: (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &* ($0 >> 7)) })
        return builder.finished()
    }

    private func paths(_ archive: [UInt8]) throws -> [String] { try readAll(archive).entries.map(\.path) }

    private func error(_ bytes: [UInt8]) throws -> LXCError? {
        do {
            _ = try readAll(bytes)
            return nil
        } catch {
            return error as? LXCError
        }
    }

    // MARK: Read

    @Test func oldLz4IsRead() throws {
        #expect(try paths(scratch.compress(Self.sample, with: "lz4 -q -l")) == ["file"])
    }

    /// Frames without data may stand before those of zstd and of LZ4 alike.
    @Test(arguments: ["lz4 -q", "zstd -q"]) func framesWithoutDataMayComeFirst(_ command: String) throws {
        let packed = try scratch.compress(Self.sample, with: command)
        for frames in [1, 3] {
            let frame: [UInt8] = [0x5A, 0x2A, 0x4D, 0x18, 4, 0, 0, 0] + Array("data".utf8)
            #expect(try paths((0..<frames).flatMap { _ in frame } + packed) == ["file"])
        }
    }

    @Test(.enabled(if: Self.hasBsdtar, "needs libarchive-tools"), arguments: ["--compress", "--lzip"])
    func whatBsdtarCompressesIsRead(_ option: String) throws {
        _ = try scratch.write(Self.sample, to: "plain.tar")
        try scratch.shell("bsdtar -cf packed \(option) @plain.tar")
        let packed = try scratch.read("packed")
        #expect(try paths(packed) == ["file"])
        for part in [packed.count / 2, packed.count - 1] where option == "--lzip" || part < packed.count - 1 {
            #expect(try error(Array(packed[..<part]))?.code == .corrupt, "\(part)")
        }
    }

    @Test(.enabled(if: Self.hasBsdtar, "needs libarchive-tools")) func lzipIsChecked() throws {
        _ = try scratch.write(Self.sample, to: "plain.tar")
        try scratch.shell("bsdtar -cf packed --lzip @plain.tar")
        let packed = try scratch.read("packed")
        for place in [packed.count / 2, packed.count - 18] {
            var damaged = packed
            damaged[place] ^= 1
            #expect(try error(damaged)?.code == .corrupt, "\(place)")
        }
        #expect(try error(packed + Array("garbage".utf8))?.code == .corrupt)
        // The largest window lzip has is four times what is allowed.
        var large = packed
        large[5] = 29
        #expect(try error(large)?.code == .limitExceeded)
    }

    @Test func lzmaOfUnusualParametersIsRead() throws {
        let packed = try scratch.compress(Self.sample, with: "xz --format=lzma --lzma1=lc=0,lp=2,pb=0")
        #expect(packed.first != 0x5D)
        #expect(try paths(packed) == ["file"])
    }

    /// pixz puts an index of names behind the archive, which other programs pass over.
    @Test func theIndexOfPixzIsPassedOver() throws {
        let index: [UInt8] = [0xA6, 0x4C, 0x32, 0x2E, 0xD6, 0x14, 0xAE, 0xDB] + Array("file\0\0\u{2}\0\0\0\0\0\0".utf8)
        #expect(try paths(scratch.compress(Self.sample + index, with: "xz")) == ["file"])
        #expect(try paths(Self.sample + [UInt8](repeating: 0, count: 10_240) + index) == ["file"])
        // What is no index, and one that is not where a block begins, behind the last record.
        let record = 10_240
        let whole = Self.sample + [UInt8](repeating: 0, count: record - Self.sample.count % record)
        #expect(try error(whole + Array("index".utf8))?.code == .corrupt)
        #expect(try error(whole + [0] + index)?.code == .corrupt)
        // Damage of the index is damage of the xz file.
        var packed = try scratch.compress(Self.sample + index, with: "xz")
        packed[packed.count - 40] ^= 1
        #expect(try error(packed)?.code == .corrupt)
    }

    // MARK: Named

    private static func file(_ bytes: [UInt8], at offset: Int = 0) -> [UInt8] {
        var file = [UInt8](repeating: 0xAA, count: 100_000)
        file.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        return file
    }

    private static func file(_ text: String, at offset: Int = 0) -> [UInt8] { file(Array(text.utf8), at: offset) }

    @Test(arguments: [
        (file("hsqs"), "squashfs", "unsquashfs"), (file("KDMV"), "VMDK", "qemu-img"),
        (file([0x7F, 0x10, 0xDA, 0xBE], at: 64), "VDI", "qemu-img"), (file("conectix"), "VHD", "qemu-img"),
        (file([0x53, 0xEF], at: 0x438), "ext4", "mount it"), (file("CD001", at: 0x8001), "ISO 9660", "mount it"),
        (file("_BHRfS_M", at: 0x1_0040), "btrfs", "mount it"), (file([0x55, 0xAA], at: 510), "raw disk", "qemu-img"),
        (file("EFI PART", at: 512), "raw disk", "qemu-img"),
        (file("!<arch>\ndebian-binary   "), "Debian package", "root"),
        (file([0xED, 0xAB, 0xEE, 0xDB]), "RPM", "root"), (file("070701"), "cpio", "cpio -id"),
        (file([0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C]), "7-Zip", "7z"), (file([0x7F, 0x45, 0x4C, 0x46]), "ELF", "root"),
        (file([0x89, 0x4C, 0x5A, 0x4F, 0, 0x0D, 0x0A, 0x1A, 0x0A]), "lzop", "lzop -d"),
        (file("LRZI"), "lrzip", "lrzip -d"),
    ])
    func otherFormatsAreCalledWhatTheyAre(_ bytes: [UInt8], _ name: String, _ remedy: String) throws {
        let error = try error(bytes)
        #expect(error?.code == .unsupported)
        #expect(
            error?.message.contains(name) == true && error?.message.contains(remedy) == true, "\(error?.message ?? "")")
        #expect(error?.message.contains("damaged") == false && error?.message.contains("get it again") == false)
        // Compressed it is the same.
        let packed = try self.error(scratch.compress(bytes, with: "gzip"))
        #expect(packed?.code == .unsupported && packed?.message.contains(name) == true, "\(packed?.message ?? "")")
    }

    @Test(arguments: [
        ("<html>404 Not Found</html>", "an HTML page"), ("\u{FEFF}\n <!DOCTYPE HTML><p>", "an HTML page"),
        ("<?xml version='1.0'?><Error/>", "an XML document"), ("{\"errors\":[]}", "a JSON document"),
        ("Not found\n", "a text"), ("version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    ])
    func whatServersSendInPlaceOfAnArchiveIsNamed(_ text: String, _ name: String) throws {
        let error = try error(Array(text.utf8))
        #expect(error?.code == .corrupt)
        #expect(error?.message.contains(name) == true, "\(error?.message ?? "")")
    }

    @Test func nothingAndNonsenseAreNamed() throws {
        #expect(try error([])?.message.contains("is empty") == true)
        let nonsense = try error(Self.file([]))
        #expect(nonsense?.code == .corrupt)
        #expect(nonsense?.message.contains("no tar archive") == true && nonsense?.message.contains("damaged") == false)
        let twice = try scratch.compress(scratch.compress(Self.sample, with: "gzip"), with: "gzip")
        #expect(try error(twice)?.message.contains("more than once") == true)
    }

    @Test func aDamagedArchiveIsStillCalledDamaged() throws {
        var damaged = Self.sample
        damaged[110] ^= 1
        #expect(try error(damaged)?.message.contains("checksum does not match") == true)
    }
}
