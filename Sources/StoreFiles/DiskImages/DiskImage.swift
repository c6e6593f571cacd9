// SPDX-License-Identifier: Apache-2.0

import FileTree
package import LXCCore
import OpenSSL

/// A disk image in qcow2 format, to be copied into a primary store. A value; nothing is opened yet.
public struct DiskImage: Sendable, CustomStringConvertible {
    package let file: any StoredFile
    /// The SHA-256 its bytes must have, in lower-case hexadecimal digits; nil accepts any.
    public let sha256: String?

    /// Creates an image from a file of this host.
    public init(path: String, sha256: String? = nil) { self.init(LocalFile(path), sha256: sha256) }

    /// Creates an image from a file, wherever it is.
    public init(_ file: any StoredFile, sha256: String? = nil) {
        self.file = file
        self.sha256 = sha256
    }

    /// The location of the image.
    public var description: String { file.description.escapedForDisplay }

    /// Copies the image and makes the copy durable; leaves nothing behind when this throws. An image whose tables point
    /// outside of it, as in half a download, is not copied. Blocks.
    ///
    /// - Returns: the SHA-256 of what was copied.
    /// - Throws: `LXCError` `corrupt` when it is damaged, or its bytes have another SHA-256 than they must, `limitExceeded`,
    ///   `notFound`, `io`; `CancellationError`.
    package func copy(
        to output: any NewStoredFile, _ cancellation: Cancellation, progress: ProgressHandler?
    ) throws -> String {
        do {
            try checkTables(cancellation)
            let digits = try read(cancellation, progress: progress) { try output.write(SharedBytes(copying: $0)) }
            try output.finish()
            return digits
        } catch {
            output.abandon()
            throw error
        }
    }

    private func checkTables(_ cancellation: Cancellation) throws {
        try QcowHeader.read(file)?.checkTables(of: file.open(), description, cancellation)
    }

    /// Reads the image to its end, its tables first, and compares its bytes with the SHA-256 they must have. Blocks.
    package func verify(_ cancellation: Cancellation, progress: ProgressHandler?) throws {
        try checkTables(cancellation)
        _ = try read(cancellation, progress: progress) { _ in }
    }

    private func read(
        _ cancellation: Cancellation, progress: ProgressHandler?, _ take: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> String {
        let file = try file.open()
        var (hash, reporter, offset) = (MessageDigest(.sha256), ProgressReporter(progress), UInt64(0))
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        while case let count = try file.read(into: buffer, at: offset), count > 0 {
            try cancellation.check()
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            hash.update(bufferPointer: bytes)
            try take(bytes)
            offset += UInt64(count)
            reporter.report(TransferProgress(transferred: ByteCount(offset), total: ByteCount(file.size)))
        }
        reporter.finish(TransferProgress(transferred: ByteCount(offset), total: ByteCount(offset)))
        let digits = hash.finalize().hexadecimal
        guard sha256 == nil || sha256 == digits else {
            throw LXCError(.corrupt, "\(self) has the SHA-256 \(digits), not the expected \(sha256 ?? "")")
        }
        return digits
    }
}
