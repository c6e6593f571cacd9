import CLibArchive
import FileTree
import Glibc
import LXCCore

/// One reading of a tar archive.
///
/// Two stages: a ``ByteStream`` undoes the compression, libarchive parses the plain tar. Between them the bytes are
/// counted, so an archive without its end-of-archive marker is found, which libarchive takes for complete, and the
/// stream is read to its very end, where the compression's checksums are.
final class TarSource: TreeSource {
    /// The most that headers of one entry may take in bytes. libarchive stops at 1 MiB for a name or a pax header, but
    /// has no limit for a sparse file's map, which it keeps in memory.
    private static let headerBytes: UInt64 = 8 << 20
    /// How much may be decompressed before the expansion ratio counts, in bytes.
    private static let freeExpansion: UInt64 = 64 << 20
    private static let blockSize: UInt64 = 512

    private(set) var losses = TreeLosses()

    private let file: FileStream
    private let archive: ReadArchive
    private let limits: TreeLimits
    private let locale = CLocale()
    private var headerBudget: UInt64?
    private var hasEntry = false
    private var hasEnded = false
    /// The size of the file ``next()`` last returned, and where its next piece may begin; nil when it was no file.
    private var contents: (size: UInt64, next: UInt64)?

    init(_ file: FileStream, limits: TreeLimits) throws {
        self.file = file
        self.limits = limits
        archive = try ReadArchive.open(file.decompressed(), of: file) { archive_read_support_format_tar($0) }
        archive.feed.check = { [unowned self] in try check($0) }
    }

    var position: (read: UInt64, total: UInt64?) { (file.position, file.size) }

    func next() throws -> TreeEntry? {
        contents = nil
        while let header = try nextHeader() {
            guard let entry = try header.entry(limits: limits, losses: &losses) else { continue }
            if case .file(let size) = entry.kind { contents = (size, 0) }
            return entry
        }
        return nil
    }

    func readPiece(_ body: (_ offset: UInt64, _ bytes: UnsafeRawBufferPointer) throws -> Void) throws -> Bool {
        guard let (size, start) = contents else { return false }
        var bytes: UnsafeRawPointer?
        var count = 0
        var offset: Int64 = 0
        while try archive.succeeded(archive_read_data_block(archive.raw, &bytes, &count, &offset)) {
            guard count > 0 else { continue }
            let (end, overflow) = UInt64(clamping: offset).addingReportingOverflow(UInt64(count))
            guard offset >= start, !overflow, end <= size else {
                throw file.corrupt("has a sparse file whose pieces overlap or lie outside of it")
            }
            contents = (size, end)
            try body(UInt64(offset), UnsafeRawBufferPointer(start: bytes, count: count))
            return true
        }
        contents = nil
        return false
    }

    private func nextHeader() throws -> TarHeader? {
        if hasEnded { return nil }
        // Skipped apart from reading the header, so that only the header's own bytes are counted there.
        if hasEntry { _ = try archive.succeeded(archive_read_data_skip(archive.raw)) }
        hasEntry = false
        headerBudget = archive.feed.count + Self.headerBytes
        defer { headerBudget = nil }
        var entry: OpaquePointer?
        let status = locale.use { archive_read_next_header(archive.raw, &entry) }
        guard try archive.succeeded(status), let entry else {
            headerBudget = nil
            try finish()
            return nil
        }
        hasEntry = true
        return TarHeader(entry, archive: file.name, warning: archive.message)
    }

    /// Reads what is left after the last entry: the end-of-archive marker and nothing but zeros.
    private func finish() throws {
        let end = UInt64(clamping: archive_read_header_position(archive.raw))
        while try !archive.feed.next().isEmpty {}
        guard archive.feed.count >= end + Self.blockSize else { throw missingMarker() }
        guard archive.feed.startOfTrailingZeros <= end else {
            // Headers libarchive read without coming to an entry start where the marker should.
            throw file.corrupt("holds something after its last entry that is no end-of-archive marker")
        }
        hasEnded = true
    }

    private func missingMarker() -> LXCError {
        file.corrupt("is truncated: it ends without its end-of-archive marker")
    }

    private func check(_ count: UInt64) throws {
        if let headerBudget, count > headerBudget {
            throw LXCError(
                .limitExceeded,
                "the archive \(file.name) has an entry with more than \(Self.headerBytes) bytes of headers")
        }
        let allowed = limits.expansionRatio.multipliedReportingOverflow(by: max(file.position, 1))
        guard count <= Self.freeExpansion || allowed.overflow || count <= allowed.partialValue else {
            throw LXCError(
                .limitExceeded,
                "the archive \(file.name) expands to more than \(limits.expansionRatio) times its size; "
                    + "raise the limit expansionRatio if it is to be trusted")
        }
    }
}

/// The C locale, for the calls in which libarchive would otherwise convert the bytes of names.
///
/// In it the conversion of every name that is not ASCII fails, upon which libarchive keeps the bytes as they are; under a
/// UTF-8 locale it would change them to composed characters.
private struct CLocale: ~Copyable {
    private let locale = newlocale(1 << LC_CTYPE, "C", nil)

    deinit { if let locale { freelocale(locale) } }

    borrowing func use<Result>(_ body: () throws -> Result) rethrows -> Result {
        let previous = uselocale(locale)
        defer { uselocale(previous) }
        return try body()
    }
}
