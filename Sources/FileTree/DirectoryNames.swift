import CLinux
import Glibc

/// The names in one directory, read at once into one buffer.
struct DirectoryNames {
    /// The names, each with its NUL.
    private var names: [UInt8] = []
    private var cursor = 0

    /// No names.
    init() {}

    /// Reads all names but `.` and `..`; nil with `errno` set.
    init?(reading directory: CInt) {
        guard lseek(directory, 0, SEEK_SET) == 0 else { return nil }
        let complete = withUnsafeTemporaryAllocation(byteCount: 32_768, alignment: 8) { buffer in
            while true {
                let count = clinux_getdents64(directory, buffer.baseAddress, buffer.count)
                guard count > 0 else { return count == 0 }
                append(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            }
        }
        guard complete else { return nil }
    }

    /// Whether there is none, counting from the first.
    var isEmpty: Bool { names.isEmpty }

    /// Calls `body` with the next name; nil after the last.
    mutating func withNext<Result>(_ body: (UnsafePointer<CChar>, ArraySlice<UInt8>) throws -> Result) rethrows
        -> Result?
    {
        guard cursor < names.count, let end = names[cursor...].firstIndex(of: 0) else { return nil }
        let start = cursor
        cursor = end + 1
        return try names.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return nil }
            return try body((base + start).assumingMemoryBound(to: CChar.self), names[start..<end])
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
                names += name
                names.append(0)
            }
            record += length
        }
    }
}
