// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// The parts of a qcow2 image's header (QEMU's `docs/interop/qcow2.txt`) that decide whether the image may be used: an
/// image can name other files of the host, which a guest would then read.
package struct QcowHeader: Hashable, Sendable {
    /// The size of the disk a guest sees, in bytes.
    package let virtualSize: UInt64
    /// The file that holds the contents the image lacks; nil if there is none.
    package let backingFile: String?
    /// Whether the contents are in another file.
    package let hasExternalData: Bool
    /// Whether the contents are encrypted.
    package let isEncrypted: Bool
    /// The location of its tables.
    package let layout: QcowLayout

    /// The first four bytes of every image.
    package static let magic: [UInt8] = [0x51, 0x46, 0x49, 0xFB]

    /// Numbers of header extensions and incompatible features.
    private static let externalDataName: UInt32 = 0x4441_5441
    private static let bitmaps: UInt32 = 0x2385_2875
    private static let extendedEntries: UInt64 = 1 << 4
    private static let corrupt: UInt64 = 1 << 1
    private static let externalData: UInt64 = 1 << 2
    /// Dirty, corrupt, external data file, compression type, extended L2 entries.
    private static let knownFeatures: UInt64 = 0b1_1111

    /// Reads a file's header; nil when it is not a qcow2 image. Blocks.
    ///
    /// - Throws: as ``init(parsing:)``; `LXCError` `io`.
    package static func read(_ file: any StoredFile) throws -> QcowHeader? {
        let open = try file.open()
        // All of it is in the first cluster, and no cluster is larger.
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 << 20, alignment: 16)
        defer { buffer.deallocate() }
        var count = 0
        while count < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
            let read = try open.read(into: rest, at: UInt64(count))
            if read == 0 { break }
            count += read
        }
        let bytes = Array(buffer[..<count])
        guard bytes.starts(with: magic) else { return nil }
        do {
            return try QcowHeader(parsing: bytes)
        } catch let error as LXCError {
            throw LXCError(error.code, "\(file.description.escapedForDisplay): \(error.message)", cause: error.cause)
        }
    }

    /// Reads the first cluster of an image, or all of a smaller one.
    ///
    /// - Throws: `LXCError` `corrupt`, `unsupported` for versions and features this does not know.
    package init(parsing bytes: [UInt8]) throws {
        let fields = Fields(bytes)
        guard bytes.starts(with: Self.magic) else { throw Self.damaged("it does not begin as a qcow2 image") }
        let version = try fields.word(4)
        guard version == 2 || version == 3 else {
            throw LXCError(.unsupported, "the image is of qcow version \(version); convert it to qcow2")
        }
        let clusterBits = try fields.word(20)
        guard (9...21).contains(clusterBits) else { throw Self.damaged("its clusters have an impossible size") }
        virtualSize = try fields.double(24)
        guard virtualSize > 0, virtualSize <= UInt64(Int64.max) else { throw Self.damaged("its disk has no size") }
        isEncrypted = try fields.word(32) != 0
        let features = version == 3 ? try fields.double(72) : 0
        guard features & ~Self.knownFeatures == 0 else {
            throw LXCError(.unsupported, "the image has features of a later qcow2 than is known here")
        }
        guard features & Self.corrupt == 0 else { throw Self.damaged("it is marked so; repair it with qemu-img check") }
        let length = version == 3 ? Int(try fields.word(100)) : 72
        let cluster = min(bytes.count, 1 << Int(clusterBits))
        guard length >= (version == 3 ? 104 : 72), length % 8 == 0, length <= cluster else {
            throw Self.damaged("its header has an impossible length")
        }
        let (offset, size) = (try fields.double(8), Int(try fields.word(16)))
        backingFile = try Self.backingFile(bytes, cluster, offset, size)
        let end = offset == 0 ? cluster : Int(offset)
        let extensions = try Self.extensions(fields, from: length, to: end)
        hasExternalData = features & Self.externalData != 0 || extensions[Self.externalDataName] != nil
        layout = QcowLayout(
            clusterBits: UInt64(clusterBits), hasExtendedEntries: features & Self.extendedEntries != 0,
            active: .init(offset: try fields.double(40), count: UInt64(try fields.word(36))),
            references: .init(offset: try fields.double(48), count: UInt64(try fields.word(56))),
            snapshots: .init(offset: try fields.double(64), count: UInt64(try fields.word(60))),
            bitmaps: try extensions[Self.bitmaps].flatMap { data in
                guard data.count >= 24 else { throw Self.damaged("its extension of bitmaps is too short") }
                let place = data.lowerBound
                return .init(offset: try fields.double(place + 16), count: try fields.double(place + 8))
            })
    }

    /// The header gives the name's position; the format allows at most 1023 bytes, in the first cluster.
    private static func backingFile(
        _ bytes: [UInt8], _ cluster: Int, _ offset: UInt64, _ size: Int
    ) throws -> String? {
        guard offset != 0 else { return nil }
        guard size <= 1023, offset <= UInt64(cluster), Int(offset) + size <= cluster else {
            throw damaged("the name of its backing file is not where names can be")
        }
        return String(decoding: bytes[Int(offset)..<Int(offset) + size], as: UTF8.self)
    }

    /// The position of the data of each type of extension behind the header.
    private static func extensions(_ fields: Fields, from start: Int, to end: Int) throws -> [UInt32: Range<Int>] {
        var (places, position) = ([UInt32: Range<Int>](), start)
        while position + 8 <= end {
            let (type, length) = (try fields.word(position), Int(try fields.word(position + 4)))
            if type == 0 { break }
            // Padded to a multiple of eight.
            let next = position + 8 + (length + 7) / 8 * 8
            guard next <= end else { throw damaged("an extension of its header is longer than there is room") }
            places[type] = position + 8..<position + 8 + length
            position = next
        }
        return places
    }

    private static func damaged(_ what: String) -> LXCError {
        LXCError(.corrupt, "the qcow2 image is damaged: \(what)")
    }

    /// Refuses an image that is not all there is of a disk: with a backing file or an external data file it could show a
    /// guest any file of the host.
    ///
    /// - Parameters:
    ///   - image: the image's name in the message.
    ///   - maximumSize: the maximum size of the disk in bytes.
    /// - Throws: `LXCError` `unsafe`, `unsupported` for an encrypted image, `limitExceeded`.
    package func requireBase(_ image: String, maximumSize: UInt64 = .max) throws {
        if let backingFile {
            throw LXCError(
                .unsafe,
                "\(image) needs the backing file \"\(backingFile.escapedForDisplay)\", and could show any file of the host; "
                    + "make it complete with qemu-img convert")
        }
        try requireOwnContents(image)
        guard !isEncrypted else {
            throw LXCError(.unsupported, "\(image) is encrypted; decrypt it with qemu-img convert")
        }
        guard virtualSize <= maximumSize else {
            throw LXCError(
                .limitExceeded,
                "\(image) is a disk of \(ByteCount(virtualSize)), and \(ByteCount(maximumSize)) are allowed; raise the "
                    + "maximum size if it may be")
        }
    }

    /// Refuses an image with contents in another file.
    ///
    /// - Throws: `LXCError` `unsafe`.
    package func requireOwnContents(_ image: String) throws {
        guard !hasExternalData else {
            throw LXCError(
                .unsafe,
                "\(image) has its contents in an external data file, which could be any file of the host; make it complete "
                    + "with qemu-img convert")
        }
    }
}

/// Big-endian numbers at places in bytes.
private struct Fields {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func word(_ offset: Int) throws -> UInt32 { UInt32(truncatingIfNeeded: try number(offset, 4)) }

    func double(_ offset: Int) throws -> UInt64 { try number(offset, 8) }

    private func number(_ offset: Int, _ size: Int) throws -> UInt64 {
        guard offset + size <= bytes.count else {
            throw LXCError(.corrupt, "the qcow2 image is damaged: it ends within its header")
        }
        return bytes[offset..<offset + size].reduce(0) { $0 << 8 | UInt64($1) }
    }
}
