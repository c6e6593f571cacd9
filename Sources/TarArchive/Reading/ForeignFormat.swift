// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// A file that is not a tar archive but known by its first bytes: its type, and the remedy.
struct ForeignFormat {
    /// The number of bytes that suffices to recognize a format.
    static let sniffedBytes = 68 << 10

    /// With an article.
    let name: String
    let remedy: String
    /// `corrupt` if something else than an archive was received, `unsupported` for an archive of a format that is not
    /// read.
    let code: LXCError.Code

    /// Recognizes a file's contents; `nil` if they are unknown.
    init?(_ bytes: UnsafeRawBufferPointer) {
        if let known = Self.known.first(where: { $0.matches(bytes) }) {
            self.init(known.name, known.remedy)
        } else if let text = Self.text(bytes) {
            self.init(text.name, text.remedy)
        } else {
            return nil
        }
    }

    private init(_ name: String, _ remedy: Remedy) {
        (self.name, self.remedy) = (name, remedy.text)
        if case .page = remedy { code = .corrupt } else { code = .unsupported }
    }

    /// The remedy.
    private enum Remedy {
        case disk, fileSystem, package, page, program(String)

        var text: String {
            switch self {
            case .disk:
                "containers are made of the tar of a root file system; for a system VM convert it with \"qemu-img convert -O "
                    + "qcow2\""
            case .fileSystem: "mount it and pack its contents as a tar"
            case .package: "take the archive of a whole root file system, which packages are parts of"
            case .page:
                "look at it: the server may want a sign-in, or the archive has moved; take the archive's own URL"
            case .program(let command): command
            }
        }
    }

    /// Bytes at a place.
    private struct Magic {
        let offset: Int
        let bytes: [UInt8]
        let name: String
        let remedy: Remedy

        init(_ bytes: [UInt8], at offset: Int = 0, _ name: String, _ remedy: Remedy) {
            (self.offset, self.bytes, self.name, self.remedy) = (offset, bytes, name, remedy)
        }

        init(_ text: StaticString, at offset: Int = 0, _ name: String, _ remedy: Remedy) {
            self.init(text.withUTF8Buffer { Array($0) }, at: offset, name, remedy)
        }

        func matches(_ contents: UnsafeRawBufferPointer) -> Bool {
            contents.count >= offset + bytes.count && contents[offset..<offset + bytes.count].elementsEqual(bytes)
        }
    }

    private static let known: [Magic] = [
        // Compressors that are not read here.
        Magic(
            [0x89, 0x4C, 0x5A, 0x4F, 0, 0x0D, 0x0A, 0x1A, 0x0A], "an lzop file", .program("decompress it with lzop -d")),
        Magic("LRZI", "an lrzip file", .program("decompress it with lrzip -d")),
        Magic(
            [0xFF, 0x06, 0, 0, 0x73, 0x4E, 0x61, 0x50, 0x70, 0x59], "a snappy file",
            .program("decompress it with snzip -d")),
        Magic([0x1F, 0x1E], "a file of pack", .program("decompress it with gzip -d")),
        Magic([0x1F, 0xA0], "an lzh file", .program("decompress it with gzip -d")),
        // Archives of other kinds.
        Magic(
            [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], "a 7-Zip archive",
            .program("unpack it with 7z x and pack it as a tar")),
        Magic("Rar!\u{1A}\u{07}", "a RAR archive", .program("unpack it and pack it as a tar")),
        Magic("070701", "a cpio archive", .program("unpack it with cpio -id and pack it as a tar")),
        Magic("070702", "a cpio archive", .program("unpack it with cpio -id and pack it as a tar")),
        Magic("070707", "a cpio archive", .program("unpack it with cpio -id and pack it as a tar")),
        Magic([0xC7, 0x71], "a cpio archive", .program("unpack it with cpio -id and pack it as a tar")),
        Magic("!<arch>\ndebian-binary", "a Debian package", .package),
        Magic("!<arch>\n", "an ar archive", .program("unpack it with ar x and pack it as a tar")),
        Magic([0xED, 0xAB, 0xEE, 0xDB], "an RPM package", .package),
        Magic("MSWIM\0\0\0", "a WIM image", .program("unpack it with wimapply and pack it as a tar")),
        // Disk images.
        Magic("KDMV", "a VMDK disk image", .disk), Magic("COWD", "a VMDK disk image", .disk),
        Magic("# Disk DescriptorFile", "the descriptor of a VMDK disk image", .disk),
        Magic([0x7F, 0x10, 0xDA, 0xBE], at: 64, "a VDI disk image", .disk),
        Magic("conectix", "a VHD disk image", .disk),
        Magic("vhdxfile", "a VHDX disk image", .disk), Magic("QED\0", "a QED disk image", .disk),
        Magic("WithoutFreeSpace", "a Parallels disk image", .disk),
        Magic("WithouFreSpacExt", "a Parallels disk image", .disk),
        Magic([0x4C, 0x55, 0x4B, 0x53, 0xBA, 0xBE], "an encrypted disk", .disk),
        // File systems.
        Magic("hsqs", "a squashfs image", .program("unpack it with unsquashfs and pack the directory as a tar")),
        Magic("sqsh", "a squashfs image", .program("unpack it with unsquashfs and pack the directory as a tar")),
        Magic("XFSB", "an XFS file system", .fileSystem),
        Magic([0x53, 0xEF], at: 0x438, "an ext2, ext3 or ext4 file system", .fileSystem),
        Magic("_BHRfS_M", at: 0x1_0040, "a btrfs file system", .fileSystem),
        Magic([0xE2, 0xE1, 0xF5, 0xE0], at: 1_024, "an EROFS image", .fileSystem),
        Magic([0x45, 0x3D, 0xCD, 0x28], "a cramfs image", .fileSystem),
        Magic("CD001", at: 0x8001, "an ISO 9660 image", .fileSystem),
        // After the file systems, since their first sector may be bootable.
        Magic("EFI PART", at: 512, "a raw disk image", .disk), Magic([0x55, 0xAA], at: 510, "a raw disk image", .disk),
        Magic("LABELONE", at: 512, "a volume of LVM", .disk),
        // Files found in place of an archive.
        Magic([0x7F, 0x45, 0x4C, 0x46], "an ELF program or library", .package),
        Magic("version https://git-lfs", "a pointer of Git LFS", .page),
        Magic("d8:announce", "a torrent", .page),
        Magic("#!/usr/bin/env run-singularity", "a Singularity image", .fileSystem), Magic("#!", "a script", .package),
        Magic("-----BEGIN PGP", "an OpenPGP message", .program("decrypt it with gpg -d")),
        Magic("age-encryption.org/", "a file encrypted with age", .program("decrypt it with age -d")),
    ]

    /// Pages and messages that servers send in place of an archive.
    private static func text(_ bytes: UnsafeRawBufferPointer) -> (name: String, remedy: Remedy)? {
        let start = bytes.prefix(512)
        let isText = start.allSatisfy { $0 >= 0x20 && $0 != 0x7F || [0x09, 0x0A, 0x0C, 0x0D].contains($0) }
        guard isText, !start.isEmpty else { return nil }
        // A byte order mark before it is not part of the text.
        let body = start.starts(with: [0xEF, 0xBB, 0xBF]) ? start.dropFirst(3) : start
        let text = String(decoding: body.drop { $0 <= 0x20 }, as: UTF8.self).lowercased()
        if ["<!doctype html", "<html", "<head", "<body"].contains(where: { text.hasPrefix($0) }) {
            return ("an HTML page", .page)
        }
        if text.hasPrefix("<") { return ("an XML document", .page) }
        if text.hasPrefix("{") || text.hasPrefix("[") { return ("a JSON document", .page) }
        return ("a text", .page)
    }
}
