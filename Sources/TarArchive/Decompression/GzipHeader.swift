// SPDX-License-Identifier: Apache-2.0

/// A gzip member's header (RFC 1952, 2.3), read byte by byte. Nothing in it matters to the contents; it is only passed
/// over, and checked as far as it can be.
struct GzipHeader {
    /// The fields in their sequence.
    private enum Field: Int { case fixed, extraLength, extra, name, comment, checksum, none }

    private var field = Field.fixed
    private var flags: UInt8 = 0
    /// The field's bytes so far, and the number left in the extra field.
    private var count = 0
    private var extraLeft = 0
    private var stored: UInt16 = 0
    private var crc: UInt32 = .max

    /// Reads the next byte; `true` when the header is complete.
    mutating func take(_ byte: UInt8) throws(InflaterDamage) -> Bool {
        if field != .checksum { updateChecksum(byte) }
        count += 1
        switch field {
        case .fixed:
            try takeFixed(byte)
            if count == 10 { advance() }
        case .extraLength:
            extraLeft |= Int(byte) << (8 * (count - 1))
            if count == 2 { advance() }
        case .extra:
            extraLeft -= 1
            if extraLeft == 0 { advance() }
        case .name, .comment: if byte == 0 { advance() }
        case .checksum:
            stored |= UInt16(byte) << UInt16(8 * (count - 1))
            guard count == 2 else { break }
            guard stored == UInt16(truncatingIfNeeded: ~crc) else {
                throw InflaterDamage(why: "its header's checksum does not match")
            }
            advance()
        case .none: break
        }
        return field == .none
    }

    private mutating func takeFixed(_ byte: UInt8) throws(InflaterDamage) {
        switch count {
        case 1 where byte != 0x1F, 2 where byte != 0x8B:
            throw InflaterDamage(why: "bytes that are no gzip data follow its end")
        case 3 where byte != 8: throw InflaterDamage(why: "its method of compression is unknown")
        case 4:
            guard byte & 0xE0 == 0 else { throw InflaterDamage(why: "its header has unknown flags") }
            flags = byte
        default: break
        }
    }

    /// Advances to the next field present.
    private mutating func advance() {
        count = 0
        repeat { field = Field(rawValue: field.rawValue + 1) ?? .none } while !isPresent
    }

    private var isPresent: Bool {
        switch field {
        case .fixed, .none: true
        case .checksum: flags & 0x02 != 0
        case .extraLength: flags & 0x04 != 0
        case .extra: extraLeft > 0
        case .name: flags & 0x08 != 0
        case .comment: flags & 0x10 != 0
        }
    }

    /// CRC-32 bit by bit: headers are short.
    private mutating func updateChecksum(_ byte: UInt8) {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 0 ? 0 : 0xEDB8_8320) }
    }
}
