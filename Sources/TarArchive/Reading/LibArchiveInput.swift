// SPDX-License-Identifier: Apache-2.0

import CLibArchive
import FileTree
import Glibc
import LXCCore
import StoreFiles

/// libarchive's input: a file in any place, its position, and the error that stopped it.
final class LibArchiveInput {
    private static let blockSize = 256 << 10

    let file: any OpenStoredFile
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: blockSize, alignment: 4_096)
    /// The archive's position in the file.
    let start: UInt64
    private var offset: UInt64
    /// Why the file could not be read, which does not mean that the archive is damaged.
    private var failure: (any Error)?

    /// Creates an input of an open file, with the number of bytes to skip at its beginning.
    init(_ file: any OpenStoredFile, from start: UInt64 = 0) {
        self.file = file
        self.start = start
        offset = start
    }

    deinit { buffer.deallocate() }

    /// Makes `archive` read from here, which must live as long.
    func open(_ archive: OpaquePointer) -> CInt {
        archive_read_set_callback_data(archive, Unmanaged.passUnretained(self).toOpaque())
        archive_read_set_read_callback(archive) { _, input, block in
            guard let input, let block else { return -1 }
            return Unmanaged<LibArchiveInput>.fromOpaque(input).takeUnretainedValue().read(block)
        }
        archive_read_set_seek_callback(archive) { _, input, offset, whence in
            guard let input else { return la_int64_t(ARCHIVE_FATAL) }
            return Unmanaged<LibArchiveInput>.fromOpaque(input).takeUnretainedValue().seek(offset, whence)
        }
        return archive_read_open1(archive)
    }

    /// Why `archive` stopped: a file that cannot be read is not damaged.
    func problem(of archive: OpaquePointer, _ problem: DecoderProblem, otherwise: String) -> any Error {
        let message = archive_error_string(archive).map { String(cString: $0).escapedForDisplay }
        return failure ?? problem.damage(message ?? otherwise)
    }

    private func read(_ block: UnsafeMutablePointer<UnsafeRawPointer?>) -> Int {
        do {
            let count = try file.read(into: buffer, at: offset)
            offset += UInt64(count)
            block.pointee = UnsafeRawPointer(buffer.baseAddress)
            return count
        } catch {
            failure = error
            return -1
        }
    }

    private func seek(_ distance: Int64, _ whence: CInt) -> Int64 {
        let origin: UInt64 =
            switch whence {
            case SEEK_CUR: offset
            case SEEK_END: file.size
            default: start
            }
        let place = Int64(clamping: origin).addingReportingOverflow(distance)
        guard !place.overflow, place.partialValue >= Int64(start) else { return Int64(ARCHIVE_FATAL) }
        offset = UInt64(place.partialValue)
        return place.partialValue - Int64(start)
    }
}
