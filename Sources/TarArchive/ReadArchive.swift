import CLibArchive
import LXCCore

/// Hands a byte stream to libarchive, and keeps what libarchive cannot: errors, and how the stream ended.
final class ArchiveFeed {
    private let stream: any ByteStream
    /// Called with the count of bytes after each block; may refuse to go on.
    var check: ((UInt64) throws -> Void)?
    /// Why the stream could not go on.
    private(set) var failure: (any Error)?
    /// How many bytes were handed out.
    private(set) var count: UInt64 = 0
    /// Where the zeros begin that the stream has ended with so far.
    private(set) var startOfTrailingZeros: UInt64 = 0

    init(_ stream: any ByteStream) { self.stream = stream }

    /// The next block; empty at the end.
    func next() throws -> UnsafeRawBufferPointer {
        let block = try stream.next()
        if let last = block.lastIndex(where: { $0 != 0 }) { startOfTrailingZeros = count + UInt64(last) + 1 }
        count += UInt64(block.count)
        try check?(count)
        return block
    }

    fileprivate func fill(_ block: UnsafeMutablePointer<UnsafeRawPointer?>?) -> Int {
        do {
            let bytes = try next()
            block?.pointee = bytes.baseAddress
            return bytes.count
        } catch {
            failure = error
            return Int(ARCHIVE_FATAL)
        }
    }
}

/// Owns one libarchive reader.
struct ReadArchive: ~Copyable {
    /// libarchive's own handle, for its functions that need no rules of ours.
    let raw: OpaquePointer
    /// What it reads. libarchive keeps a pointer to it, so it lives as long as the handle.
    let feed: ArchiveFeed
    private let file: FileStream

    private init(adopting raw: OpaquePointer, feed: ArchiveFeed, file: FileStream) {
        self.raw = raw
        self.feed = feed
        self.file = file
    }

    /// Makes a reader of `stream`; `file` is where the bytes come from in the end. `prepare` names the formats.
    static func open(
        _ stream: any ByteStream, of file: FileStream, prepare: (OpaquePointer) -> Void
    ) throws -> ReadArchive {
        guard let raw = archive_read_new() else {
            throw LXCError(.io, "no memory to read the archive \(file.name)")
        }
        let archive = ReadArchive(adopting: raw, feed: ArchiveFeed(stream), file: file)
        prepare(raw)
        let status = archive_read_open(
            raw, Unmanaged.passUnretained(archive.feed).toOpaque(), nil,
            { _, feed, block in
                guard let feed else { return Int(ARCHIVE_FATAL) }
                return Unmanaged<ArchiveFeed>.fromOpaque(feed).takeUnretainedValue().fill(block)
            }, nil)
        _ = try archive.succeeded(status)
        return archive
    }

    deinit { archive_read_free(raw) }

    /// Whether a call that returned `status` succeeded; false says that the end is reached.
    ///
    /// - Throws: for every other status what the stream failed with, or `LXCError` `corrupt` in libarchive's words.
    borrowing func succeeded(_ status: CInt) throws -> Bool {
        if let failure = feed.failure { throw failure }
        switch status {
        case ARCHIVE_OK, ARCHIVE_WARN: return true
        case ARCHIVE_EOF: return false
        default: throw file.corrupt("cannot be read: \((message ?? "status \(status)").escapedForDisplay)")
        }
    }

    /// What libarchive says of its last call; nil where it has nothing to say.
    var message: String? { archive_error_string(raw).map { String(cString: $0) } }
}
