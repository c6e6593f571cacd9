// SPDX-License-Identifier: Apache-2.0

import FileTree
import Glibc
import LXCCore
import LinuxSystem
import Synchronization

/// An archive under construction: under a hidden name beside its place, renamed when complete; compressed and written
/// by a thread of its own.
final class ArchiveWriter {
    /// The bytes of memory and the number of pieces handed to the thread together: more than one block of contents, or
    /// each block would be a batch.
    private static let batchSize = 2 * SharedBytes.Maker.blockSize
    private static let batchCount = 512
    /// The number of batches that may wait: enough that neither side waits for the other's jitter.
    private static let batches = 4

    private let location: TreeLocation
    private let hiddenName: String
    private let output: ArchiveFileOutput
    private let queue: BoundedQueue<[SharedBytes]>
    private let state = State()
    private let worker: Worker
    private var batch: [SharedBytes] = []
    private var weight = BatchWeight()
    private var isPublished = false
    /// The size of the archive in bytes, before compression.
    private(set) var count: UInt64 = 0
    /// Looked at while the thread is waited for.
    private let cancellation: Cancellation

    /// The state shared by both threads.
    private final class State: Sendable {
        private let values = Mutex<(failure: (any Error)?, isComplete: Bool)>((nil, false))

        var failure: (any Error)? { values.withLock { $0.failure } }
        /// Whether everything was handed over, so that the end of the queue is the archive's.
        var isComplete: Bool { values.withLock { $0.isComplete } }
        func fail(_ error: any Error) { values.withLock { $0.failure = error } }
        func complete() { values.withLock { $0.isComplete = true } }
    }

    /// Belongs to the thread once that is started.
    private struct Encoding: @unchecked Sendable {
        // @unchecked: nothing else uses the encoder any more.
        let encoder: any ArchiveEncoder
    }

    /// Makes the hidden file.
    ///
    /// - Throws: `LXCError` `invalidArgument` when the name does not say how to compress; `alreadyExists`,
    ///   `unsupported`, `io` and others.
    init(_ location: consuming TreeLocation, _ cancellation: Cancellation) throws {
        let format = try CompressionFormat(forNewArchive: location.name)
        guard !location.isTaken else { throw location.taken }
        let shown = "\"\(location.name.escapedForDisplay)\""
        let name = location.makeHiddenName()
        let output = try ArchiveFileOutput(name, in: location.parent.raw, shown: shown)
        let encoding: Encoding
        do {
            let encoder: any ArchiveEncoder =
                switch format {
                case .none: PlainEncoder(output)
                case .zstd: try ZstdEncoder(output, shown: shown)
                case .xz: try XzEncoder(output, shown: shown)
                default: try ArchiveCompression(format, output, shown: shown)
                }
            encoding = Encoding(encoder: encoder)
        } catch {
            unlinkat(location.parent.raw, name, 0)
            throw error
        }
        let queue = BoundedQueue<[SharedBytes]>(capacity: Self.batches)
        worker = Worker("lxc-pack") { [state] in
            do {
                while let batch = queue.pop() {
                    for bytes in batch { try encoding.encoder.write(bytes) }
                }
                if state.isComplete { try encoding.encoder.finish() }
            } catch {
                state.fail(error)
                queue.cancel()
            }
        }
        self.location = location
        hiddenName = name
        self.output = output
        self.queue = queue
        self.cancellation = cancellation
    }

    deinit { queue.cancel() }

    /// Adds bytes.
    ///
    /// - Throws: the failure of these pieces or of earlier ones; `CancellationError`.
    func append(_ bytes: SharedBytes) throws {
        guard !bytes.isEmpty else { return }
        batch.append(bytes)
        weight.add(bytes)
        count += UInt64(bytes.count)
        if weight.bytes >= Self.batchSize || batch.count >= Self.batchCount { try handOver() }
    }

    /// Writes the remaining data and gives the archive its final name.
    func finish(durable: Bool) throws {
        try handOver()
        state.complete()
        queue.finish()
        try worker.join(cancellation: cancellation)
        if let failure = state.failure { throw failure }
        try output.finish(durable: durable)
        try location.publish(hiddenName)
        isPublished = true
        if durable { try location.sync() }
    }

    /// Removes the file. The thread ends after its present piece of work without being waited for.
    func abandon() {
        queue.cancel()
        batch = []
        // A failure here cannot be reported: the failure that led here is.
        unlinkat(location.parent.raw, isPublished ? location.name : hiddenName, 0)
    }

    private func handOver() throws {
        guard !batch.isEmpty else { return }
        let isTaken = try queue.push(batch, cancellation: cancellation)
        if !isTaken { throw state.failure ?? LXCError(.invalidState, "the archive was abandoned") }
        batch = []
        batch.reserveCapacity(Self.batchCount)
        weight = BatchWeight()
    }
}
