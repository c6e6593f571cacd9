// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// The fields of a ustar header block of tar(5), as they are written.
///
/// A value that does not fit its field goes to an extended header; the field then has its maximum, or the beginning of
/// the name.
struct TarHeaderBlock {
    /// The largest numbers that fit: seven octal digits, and eleven.
    static let maximumShort: UInt64 = 0o7777777
    static let maximumLong: UInt64 = 0o77777777777
    static let nameLength = 100
    static let prefixLength = 155

    var type: UInt8
    var mode: UInt16 = 0
    var user: UInt32 = 0
    var group: UInt32 = 0
    var size: UInt64 = 0
    var modified: UInt64 = 0
    var device: (major: UInt32, minor: UInt32) = (0, 0)

    /// Adds the block to `output`. Names are raw bytes in whatever encoding, so that every reader accepts them.
    func append(
        name: ArraySlice<UInt8>, prefix: ArraySlice<UInt8> = [], linkName: ArraySlice<UInt8> = [],
        to output: inout [UInt8]
    ) {
        let start = output.count
        output.append(contentsOf: repeatElement(0, count: TarInput.blockSize))
        output.withUnsafeMutableBufferPointer { buffer in
            let block = UnsafeMutableBufferPointer(rebasing: buffer[start...])
            Self.put(name.prefix(Self.nameLength), at: 0, in: block)
            Self.put(octal: UInt64(mode), digits: 7, at: 100, in: block)
            Self.put(octal: UInt64(user), digits: 7, at: 108, in: block)
            Self.put(octal: UInt64(group), digits: 7, at: 116, in: block)
            Self.put(octal: size, digits: 11, at: 124, in: block)
            Self.put(octal: modified, digits: 11, at: 136, in: block)
            block[156] = type
            Self.put(linkName.prefix(Self.nameLength), at: 157, in: block)
            Self.put("ustar\u{0}00".utf8, at: 257, in: block)
            Self.put(octal: UInt64(device.major), digits: 7, at: 329, in: block)
            Self.put(octal: UInt64(device.minor), digits: 7, at: 337, in: block)
            Self.put(prefix, at: 345, in: block)
            // The sum of all bytes, the checksum's own eight taken as blanks.
            let sum = block.reduce(8 * UInt64(UInt8(ascii: " "))) { $0 + UInt64($1) }
            Self.put(octal: sum, digits: 6, at: 148, in: block)
            block[155] = UInt8(ascii: " ")
        }
    }

    /// Splits a name that is too long for its field if the prefix can hold its beginning; nil otherwise.
    static func split(_ name: [UInt8]) -> (prefix: ArraySlice<UInt8>, name: ArraySlice<UInt8>)? {
        if name.count <= nameLength { return ([], name[...]) }
        // The last slash may be a directory's own, after which there is no name.
        let last = min(prefixLength, name.count - 2)
        guard let slash = name[...last].lastIndex(of: UInt8(ascii: "/")), slash > 0,
            name.count - slash - 1 <= nameLength
        else { return nil }
        return (name[..<slash], name[(slash + 1)...])
    }

    private static func put(_ bytes: some Sequence<UInt8>, at offset: Int, in block: UnsafeMutableBufferPointer<UInt8>)
    {
        var offset = offset
        for byte in bytes {
            block[offset] = byte
            offset += 1
        }
    }

    private static func put(
        octal number: UInt64, digits: Int, at offset: Int, in block: UnsafeMutableBufferPointer<UInt8>
    ) {
        var rest = min(number, (1 << UInt64(3 * digits)) - 1)
        for index in stride(from: offset + digits - 1, through: offset, by: -1) {
            block[index] = UInt8(ascii: "0") + UInt8(rest & 7)
            rest >>= 3
        }
    }
}
