import Glibc
import LXCCore

/// Bytes in blocks of the stream's own choosing.
protocol ByteStream: AnyObject {
    /// The next block, valid until the next call; empty at the end, and only there.
    func next() throws -> UnsafeRawBufferPointer
}

/// A local file, read block by block.
final class FileStream: ByteStream {
    private static let blockSize = 256 << 10

    /// The path, fit for an error message.
    let name: String
    /// The file's size when it was opened, in bytes.
    let size: UInt64
    /// How many bytes were read so far.
    private(set) var position: UInt64 = 0
    private let descriptor: CInt
    private let block = UnsafeMutableRawBufferPointer.allocate(byteCount: FileStream.blockSize, alignment: 16)

    /// Opens a regular file.
    ///
    /// - Throws: ``LXCError`` `notFound`, `permissionDenied`, `corrupt` when it is no regular file, `io`.
    convenience init(_ path: String) throws {
        let name = path.escapedForDisplay
        // Without O_NONBLOCK a FIFO in the archive's place would keep this thread for ever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw LXCError.lastSystemCall("open", "open the archive \(name)") }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw LXCError(.corrupt, "the archive \(name) is not a regular file")
        }
        self.init(adopting: descriptor, name: name, size: UInt64(status.st_size))
    }

    private init(adopting descriptor: CInt, name: String, size: UInt64) {
        self.descriptor = descriptor
        self.name = name
        self.size = size
    }

    deinit {
        close(descriptor)
        block.deallocate()
    }

    /// Whether the file starts with these bytes.
    func starts(with magic: [UInt8]) throws -> Bool {
        var start = [UInt8](repeating: 0, count: magic.count)
        let count = start.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        guard count >= 0 else { throw LXCError.lastSystemCall("pread", "read the archive \(name)") }
        return start[..<count] == magic[...]
    }

    func next() throws -> UnsafeRawBufferPointer {
        while true {
            let count = read(descriptor, block.baseAddress, block.count)
            if count >= 0 {
                position += UInt64(count)
                return UnsafeRawBufferPointer(rebasing: block[..<count])
            }
            guard errno == EINTR else { throw LXCError.lastSystemCall("read", "read the archive \(name)") }
        }
    }
}

extension FileStream {
    private static let gzipMagic: [UInt8] = [0x1f, 0x8b, 0x08]

    /// The file's contents without their compression, whichever it is.
    func decompressed() throws -> any ByteStream {
        try starts(with: Self.gzipMagic) ? GzipStream(self) : FilterStream(self)
    }

    /// The error for an archive that is damaged in the way `damage` says, as in `ends too early`.
    func corrupt(_ damage: String, fileID: String = #fileID, line: Int = #line) -> LXCError {
        LXCError(.corrupt, "the archive \(name) \(damage)", fileID: fileID, line: line)
    }
}
