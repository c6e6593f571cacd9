// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// The names in one directory, read into one buffer: all at once, or a limited number at a time.
package struct DirectoryNames {
    /// The order of the names.
    package enum Order {
        /// The order of inode numbers: many file systems store inodes in this order but names in the order of their
        /// hashes.
        case inode
        /// Bytewise: the same tree always comes in the same order.
        case name
    }

    /// A name with its type from the directory.
    package struct Name {
        /// The name with its NUL.
        package let pointer: UnsafePointer<CChar>
        /// The name's bytes.
        package let bytes: ArraySlice<UInt8>
        /// Its type, such as `DT_DIR`; `DT_UNKNOWN` if the file system does not report it.
        package let type: CInt
    }

    private struct Entry {
        let inode: UInt64
        /// The offset of the name, which ends before its NUL.
        let name: UInt32
        let type: UInt8
    }

    /// The number of names read at a time where only their order within a stretch matters.
    package static let stretch = 65_536

    /// The names, each with its NUL.
    private var names: [UInt8] = []
    private var entries: [Entry] = []
    private var cursor = 0
    private let order: Order
    private let limit: Int
    /// Whether the directory has no more names.
    package private(set) var isComplete = true

    /// No names.
    package init() {
        order = .inode
        limit = .max
    }

    /// Reads the names but `.` and `..`, or about the first `limit` of them; nil with `errno` set.
    package init?(reading directory: CInt, order: Order = .inode, limit: Int = .max) {
        self.order = order
        self.limit = limit
        guard lseek(directory, 0, SEEK_SET) == 0, readOn(directory) else { return nil }
    }

    /// Replaces the names with the next ones of the directory; false with `errno` set.
    package mutating func readOn(_ directory: CInt) -> Bool {
        names.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
        cursor = 0
        isComplete = false
        let complete = withUnsafeTemporaryAllocation(byteCount: 32_768, alignment: 8) { buffer in
            while true {
                let count = clinux_getdents64(directory, buffer.baseAddress, buffer.count)
                guard count > 0 else {
                    isComplete = count == 0
                    return count == 0
                }
                // Names of more than 4 GiB are those of no directory.
                guard names.count + buffer.count <= UInt32.max else {
                    errno = EOVERFLOW
                    return false
                }
                append(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                if entries.count >= limit { return true }
            }
        }
        guard complete else { return false }
        switch order {
        case .inode: entries.sort { $0.inode < $1.inode }
        case .name:
            names.withUnsafeBytes { names in
                guard let base = names.baseAddress?.assumingMemoryBound(to: CChar.self) else { return }
                // Bytes compare as strcmp(3) does: names hold no NUL.
                entries.sort { strcmp(base + Int($0.name), base + Int($1.name)) < 0 }
            }
        }
        return true
    }

    /// Whether the directory has no names, counting from the first.
    package var isEmpty: Bool { entries.isEmpty }

    /// Calls `body` with the next name; nil after the last.
    package mutating func withNext<Result>(_ body: (Name) throws -> Result) rethrows -> Result? {
        guard cursor < entries.count else { return nil }
        let entry = entries[cursor]
        cursor += 1
        return try names.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return nil }
            let start = Int(entry.name)
            let pointer = (base + start).assumingMemoryBound(to: CChar.self)
            let name = names[start..<(start + strlen(pointer))]
            return try body(Name(pointer: pointer, bytes: name, type: CInt(entry.type)))
        }
    }

    /// Reads a block of `struct linux_dirent64`: inode and offset of eight bytes each, record length of two, type of
    /// one, then the name with its NUL.
    private mutating func append(_ block: UnsafeRawBufferPointer) {
        var record = block.startIndex
        while record + 19 < block.endIndex {
            let length = Int(block.loadUnaligned(fromByteOffset: record + 16, as: UInt16.self))
            let name = block[(record + 19)..<(record + length)].prefix { $0 != 0 }
            let isDots = name.count <= 2 && name.allSatisfy { $0 == UInt8(ascii: ".") }
            if !isDots {
                let inode = block.loadUnaligned(fromByteOffset: record, as: UInt64.self)
                let start = UInt32(truncatingIfNeeded: names.count)
                names += name
                entries.append(Entry(inode: inode, name: start, type: block[record + 18]))
                names.append(0)
            }
            record += length
        }
    }
}
