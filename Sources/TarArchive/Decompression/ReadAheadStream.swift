// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

/// Another stream, run by a thread of its own a few chunks ahead of its reader: reading and decompressing an archive
/// overlap with the processing of its contents.
///
/// The thread starts with the first request, and ends with the stream, after an error, or with its reader: a reader
/// that ends early waits for the chunk in progress.
final class ReadAheadStream: ByteStream {
    /// Chunks are 1 MiB at most. This many keep both sides busy while files of any size come up.
    private static let chunksAhead = 6

    private enum Message: Sendable {
        case bytes(SharedBytes, read: UInt64)
        /// The last message, with the error that ended the stream if there was one.
        case end((any Error)?, read: UInt64)
    }

    /// The stream, on its way to the thread.
    private struct Handover: @unchecked Sendable {
        // @unchecked: only the thread uses it once it has started.
        let stream: any ByteStream
    }

    private let source: Handover
    private let queue = BoundedQueue<Message>(capacity: chunksAhead)
    private var thread: Worker?
    private var outcome: Result<Void, any Error>?
    /// The number of bytes of the file behind the chunks handed out, not counting what the thread has read since: the
    /// expansion ratio is that of the contents seen by the reader.
    private(set) var bytesRead: UInt64 = 0

    /// Creates a stream that reads ahead of another, which nothing else may use.
    init(_ stream: any ByteStream) { source = Handover(stream: stream) }

    deinit {
        queue.cancel()
        thread?.join()
    }

    func next() throws -> SharedBytes {
        if let outcome {
            try outcome.get()
            return .empty
        }
        if thread == nil { start() }
        switch queue.pop() {
        case .bytes(let bytes, let read):
            bytesRead = read
            return bytes
        case .end(let error, let read):
            bytesRead = read
            outcome = error.map { .failure($0) } ?? .success(())
        case nil:
            // Only ``deinit`` cancels the queue.
            outcome = .failure(LXCError(.invalidState, "the archive's reader is gone"))
        }
        return try next()
    }

    private func start() {
        thread = Worker("lxc-archive") { [source, queue] in
            let stream = source.stream
            do {
                while true {
                    let bytes = try stream.next()
                    guard !bytes.isEmpty else { break }
                    guard queue.push(.bytes(bytes, read: stream.bytesRead)) else { return }
                }
                _ = queue.push(.end(nil, read: stream.bytesRead))
            } catch {
                _ = queue.push(.end(error, read: stream.bytesRead))
            }
        }
    }
}
