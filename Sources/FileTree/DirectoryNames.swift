import CLinux
import Glibc

/// The names in one directory, read at once into one buffer.
struct DirectoryNames {
    /// In what order names come.
    enum Order {
        /// In that of their inodes: many file systems keep inodes in that order on disk, but names in that of their
        /// hashes.
        case inode
        /// Bytewise: the same tree always comes in the same order.
        case name
    }

    /// A name and what the directory says of it.
    struct Name {
        /// The name with its NUL.
        let pointer: UnsafePointer<CChar>
        /// The name's bytes.
        let bytes: ArraySlice<UInt8>
        /// What it stands for, as `DT_DIR` and its like; `DT_UNKNOWN` where the file system does not tell.
        let type: CInt
    }

    private struct Entry {
        let inode: UInt64
        let type: CInt
        let name: Range<Int>
    }

    /// The names, each with its NUL.
    private var names: [UInt8] = []
    private var entries: [Entry] = []
    private var cursor = 0

    /// No names.
    init() {}

    /// Reads all names but `.` and `..`; nil with `errno` set.
    init?(reading directory: CInt, order: Order = .inode) {
        guard lseek(directory, 0, SEEK_SET) == 0 else { return nil }
        let complete = withUnsafeTemporaryAllocation(byteCount: 32_768, alignment: 8) { buffer in
            while true {
                let count = clinux_getdents64(directory, buffer.baseAddress, buffer.count)
                guard count > 0 else { return count == 0 }
                append(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            }
        }
        guard complete else { return nil }
        switch order {
        case .inode: entries.sort { $0.inode < $1.inode }
        case .name:
            names.withUnsafeBufferPointer { names in
                entries.sort { names[$0.name].lexicographicallyPrecedes(names[$1.name]) }
            }
        }
    }

    /// Whether there is none, counting from the first.
    var isEmpty: Bool { entries.isEmpty }

    /// Calls `body` with the next name; nil after the last.
    mutating func withNext<Result>(_ body: (Name) throws -> Result) rethrows -> Result? {
        guard cursor < entries.count else { return nil }
        let entry = entries[cursor]
        cursor += 1
        return try names.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return nil }
            let pointer = (base + entry.name.lowerBound).assumingMemoryBound(to: CChar.self)
            return try body(Name(pointer: pointer, bytes: names[entry.name], type: entry.type))
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
                let start = names.count
                names += name
                entries.append(Entry(inode: inode, type: CInt(block[record + 18]), name: start..<names.count))
                names.append(0)
            }
            record += length
        }
    }
}
