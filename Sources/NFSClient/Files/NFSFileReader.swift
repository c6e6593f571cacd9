// SPDX-License-Identifier: Apache-2.0

package import FileTree
import LXCCore

/// A file that is read from its beginning to its end, a few MiB ahead. A reader that looks elsewhere begins anew there.
package final class NFSFileReader: @unchecked Sendable {
    // @unchecked: every access to the variables below holds `condition`.
    private static let ahead = 8 << 20

    /// The size of the file in bytes when it was opened.
    package let size: UInt64
    /// A text that distinguishes the file, in the state in which it was opened, from others, as a mount of the export
    /// does.
    package let identity: String
    private let client: NFSClient
    private let handle: NFSHandle
    private let condition = Condition()
    /// The parts requested and not consumed yet, in sequence.
    private var parts: [Part] = []
    private var failure: NFSFailure?

    private final class Part {
        let offset: UInt64
        let count: Int
        var pieces: [SharedBytes] = []
        var missing: Int

        init(_ offset: UInt64, _ count: Int) {
            self.offset = offset
            self.count = count
            missing = count
        }

        var end: UInt64 { offset + UInt64(count) }
    }

    /// Carries a part, which is used under the lock alone, to the callback that fills it.
    private struct Filled: @unchecked Sendable { let part: Part }

    /// Connects to the server of a URL and opens the file it names, on a thread that may block.
    ///
    /// - Throws: `LXCError` `notFound`, `invalidArgument` when it is not a regular file.
    package convenience init(_ url: NFSURL, _ options: NFSClientOptions) throws {
        let (above, name) = try url.splitName()
        let client = try NFSClient.open(above, options, Cancellation())
        try self.init(client, client.lookUp(name, in: client.root, nil), url.place)
    }

    /// Opens a file below the directory of a client, on a thread that may block.
    ///
    /// - Throws: as ``init(_:_:)``.
    package convenience init(_ path: TreePath, in client: NFSClient) throws {
        try self.init(client, client.object(at: path, nil), "\(client.url.place)/\(path)")
    }

    private init(_ client: NFSClient, _ file: NFSObject, _ shown: String) throws {
        let attributes = try file.attributes ?? client.attributes(of: file.handle, nil)
        guard attributes.type == .file else { throw LXCError(.invalidArgument, "\(shown) is not a regular file") }
        self.client = client
        handle = file.handle
        size = attributes.size
        // As a mount of the export shows it.
        let modified = attributes.modified
        identity = "\(attributes.fileID) \(attributes.size) \(modified.seconds).\(modified.nanoseconds)"
    }

    /// Reads bytes from `offset` on; fewer than the buffer holds at the end, none beyond. Blocks.
    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int {
        guard offset < size, !buffer.isEmpty else { return 0 }
        return try condition.withLock {
            while let first = parts.first, first.end <= offset { parts.removeFirst() }
            if parts.first.map({ offset < $0.offset }) ?? true { parts = [] }
            request(from: offset)
            while let first = parts.first, first.missing > 0, failure == nil { condition.wait() }
            if let failure { throw failure.error("read \"\(handle)\" on \(client.url.place)") }
            return copy(into: buffer, at: offset)
        }
    }

    /// Copies from the first part, which is complete.
    private func copy(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Int {
        guard let part = parts.first else { return 0 }
        var skipped = Int(offset - part.offset)
        var copied = 0
        for piece in part.pieces {
            let rest = piece.dropFirst(skipped).prefix(buffer.count - copied)
            skipped = max(skipped - piece.count, 0)
            guard !rest.isEmpty else { continue }
            rest.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: buffer[copied...]).copyMemory(from: $0) }
            copied += rest.count
        }
        return copied
    }

    /// Asks for what comes next, up to the window.
    private func request(from offset: UInt64) {
        var next = parts.last?.end ?? offset
        while next < size, next - offset < UInt64(Self.ahead) {
            let part = Part(next, Int(min(UInt64(client.readSize), size - next)))
            parts.append(part)
            next = part.end
            ask(Filled(part: part), part.offset)
        }
    }

    private func ask(_ filled: Filled, _ offset: UInt64) {
        let call = NFSCall.read(handle, offset: offset, count: filled.part.missing)
        client.submit(call, cancellation: nil) { [self] result in
            condition.withLock {
                defer { condition.broadcast() }
                switch result {
                case .success(.data(let bytes, let isEnd)):
                    guard !bytes.isEmpty, bytes.count == filled.part.missing || !isEnd else {
                        failure = .failed(
                            LXCError(.io, "the file \"\(handle)\" became shorter while it was read; try again"))
                        return
                    }
                    filled.part.pieces.append(bytes)
                    filled.part.missing -= bytes.count
                    if filled.part.missing > 0 { ask(filled, offset + UInt64(bytes.count)) }
                case .success: failure = .failed(NFSClient.senseless("READ"))
                case .failure(let error): failure = error
                }
            }
        }
    }
}
