// SPDX-License-Identifier: Apache-2.0

import FileTree
import FoundationEssentials
import Glibc
import LXCCore
import LinuxSystem

/// A partial download in a directory that survives the program: the bytes, and a record of the copy they belong to.
///
/// The record is written before the first byte of a copy, and the bytes of another copy are gone before that; so bytes
/// never stand beside the record of another copy. Used by one thread, and by one registration at a time.
final class PartialDownload {
    /// Of which copy of which file the bytes are.
    struct Record: Codable, Hashable {
        /// The URL for people.
        var source: String
        /// The hash of the URL.
        var fingerprint: String
        /// The copy's strong entity tag.
        var entityTag: String?
        /// The time of the copy's last change, as the server wrote it; only if that identifies the copy.
        var lastModified: String?
        /// Everything the server sent to identify this copy, strong or not, by the fields' names. Copies with
        /// different ones are different; with the same they still may be.
        var told: [String: String]?
        /// The length of the copy in bytes, if the server reported it, or its end has been received.
        var length: UInt64?
        /// Whether the copy could have ended early without notice: the server gave neither its length nor
        /// where it ends.
        var isEndUnknown: Bool?

        /// The text that distinguishes this copy from another (RFC 9110, 8.8).
        var validator: String? { entityTag ?? lastModified }

        private static let fields = ["etag", "last-modified"]

        /// Whether a response describes the same copy.
        func describes(_ head: ResponseHead) -> Bool {
            Self.fields.allSatisfy { name in head[name].map { $0 == told?[name] } ?? true }
        }

        /// The record of a response.
        init(_ address: WebAddress, _ head: ResponseHead) {
            source = address.shown
            fingerprint = address.fingerprint
            entityTag = head["etag"].flatMap { $0.hasPrefix("\"") ? $0 : nil }
            // A file changed in the second of the answer may change again in that second.
            lastModified = head["last-modified"].flatMap { $0 == head["date"] ? nil : $0 }
            told = Dictionary(
                uniqueKeysWithValues: Self.fields.compactMap { name in head[name].map { (name, $0) } })
            length = head.contentLength
            isEndUnknown = length == nil && !head.tellsItsEnd
        }
    }

    /// The name of the bytes in the directory.
    static let fileName = "archive"
    private static let recordName = "download.json"

    private let directory: String
    private let address: WebAddress
    private let file: Descriptor
    private(set) var record: Record?
    private(set) var size: UInt64

    /// Opens what there is of `address` in `directory`, which is made where it is missing. Of another URL nothing is kept.
    init(in directory: String, of address: WebAddress) throws {
        self.directory = directory
        self.address = address
        try DurableFile.makeDirectory(directory, mode: 0o700)
        let path = "\(directory)/\(Self.fileName)"
        guard let file = Descriptor(path, flags: O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600) else {
            throw LXCError.lastSystemCall("openat", "open the partial download \(path.escapedForDisplay)")
        }
        var status = stat()
        guard fstat(file.raw, &status) == 0 else {
            throw LXCError.lastSystemCall("fstat", "look at the partial download \(path.escapedForDisplay)")
        }
        // Opening it means continuing it; a download not opened for long is removed as abandoned.
        guard futimens(file.raw, nil) == 0 else {
            throw LXCError.lastSystemCall("futimens", "mark the partial download \(path.escapedForDisplay) as used")
        }
        self.file = file
        size = UInt64(status.st_size)
        let bytes = try DurableFile.read("\(directory)/\(Self.recordName)")
        record = bytes.flatMap { try? JSONDecoder().decode(Record.self, from: Data($0)) }
        if record?.fingerprint != address.fingerprint || record?.validator == nil { try discard() }
    }

    /// Whether a server can be asked for the rest.
    var isResumable: Bool { size > 0 && record?.validator != nil }

    /// The offset to continue at. The last byte of a complete copy is requested again, so that the server says whether
    /// it is still the same, as for any other.
    var offset: UInt64 {
        guard let length = record?.length, length > 0 else { return size }
        return min(size, length - 1)
    }

    /// The fields that ask for the rest, or for all if the copy is another by now.
    var requestFields: [String] {
        guard isResumable, offset > 0, let validator = record?.validator else { return [] }
        return ["Range: bytes=\(offset)-", "If-Range: \(validator)"]
    }

    /// Whether the data was seen to be complete.
    var isEndKnown: Bool { record?.isEndUnknown != true }

    /// Drops everything.
    func discard() throws {
        record = nil
        try truncate(to: 0)
    }

    /// Begins with the first byte of a copy.
    func begin(_ head: ResponseHead) throws {
        try discard()
        try write(Record(address, head))
    }

    /// Continues at the response's offset; false if the response is of another copy or begins elsewhere.
    func resume(_ head: ResponseHead) throws -> Bool {
        // Without a total the end of the copy is unknown: the part may be in its middle.
        guard let record, let range = head.contentRange, range.first == offset, let total = range.total,
            record.length == nil || record.length == total, record.describes(head)
        else { return false }
        try truncate(to: offset)
        if record.length == nil || record.isEndUnknown == true {
            var record = record
            record.length = total
            record.isEndUnknown = false
            try write(record)
        }
        return true
    }

    /// Adds bytes.
    func append(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = Descriptor.retrying { pwrite(file.raw, rest.baseAddress, rest.count, off_t(size)) }
            guard count > 0 else { throw LXCError.lastSystemCall("pwrite", "store the download in \(directory)") }
            size += UInt64(count)
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Records the end of a response; `false` if it was not the whole copy.
    func finish() throws -> Bool {
        guard let record else { return false }
        if let length = record.length { return size == length }
        var known = record
        known.length = size
        try write(known)
        return true
    }

    private func write(_ record: Record) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try DurableFile.write(encoder.encode(record), to: "\(directory)/\(Self.recordName)")
        self.record = record
    }

    private func truncate(to length: UInt64) throws {
        guard ftruncate(file.raw, off_t(length)) == 0 else {
            throw LXCError.lastSystemCall("ftruncate", "cut the partial download in \(directory)")
        }
        size = length
    }
}
