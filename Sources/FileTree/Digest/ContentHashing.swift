// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// Computes the records of entries, and for that hashes the contents of files, in a thread of its own, in the order they
/// pass.
///
/// Contents are passed on in batches of about two MiB, so that small files do not cost a thread switch each.
final class ContentHashing {
    private enum Step: Sendable {
        case begin(size: UInt64)
        case piece(TreePiece)
        case end(TreeEntry)
        case entry(TreeEntry)
    }

    /// The number of queued batches, and the steps and bytes of memory in one: more than one block of contents, or each
    /// block would be a batch.
    private static let waiting = 8
    private static let batchSteps = 512
    private static let batchBytes = 2 * SharedBytes.Maker.blockSize

    /// The thread's results; read when it has ended.
    private final class Results: @unchecked Sendable {
        // @unchecked: the thread's alone until it is joined.
        var hashes = SpillArray<Hash>()
        var failure: (any Error)?
    }

    private let queue = BoundedQueue<[Step]>(capacity: waiting)
    private let results = Results()
    private let worker: Worker
    private var batch: [Step] = []
    private var weight = BatchWeight()
    private var isEnded = false

    /// Starts the thread.
    init() {
        worker = Worker("lxc-hash") { [queue, results] in
            let hasher = ContentHasher()
            do {
                while let batch = queue.pop() {
                    for step in batch {
                        switch step {
                        case .begin(let size): hasher.begin(size: size)
                        case .piece(let piece): piece.bytes.withUnsafeBytes { hasher.update($0, at: piece.offset) }
                        case .end(let entry):
                            try results.hashes.append(EntryRecord(entry, contents: hasher.finish()).hash)
                        case .entry(let entry):
                            try results.hashes.append(EntryRecord(entry, contents: nil).hash)
                        }
                    }
                }
            } catch {
                results.failure = error
                queue.cancel()
            }
        }
    }

    deinit {
        guard !isEnded else { return }
        queue.cancel()
        worker.join()
    }

    /// Starts a file.
    func begin(size: UInt64) { add(.begin(size: size)) }

    /// Adds a piece of its contents.
    func update(_ piece: TreePiece) {
        weight.add(piece.bytes)
        add(.piece(piece))
    }

    /// Ends the file, which `entry` describes.
    func end(_ entry: TreeEntry) {
        var entry = entry
        // The position of holes does not count.
        entry.extents = nil
        weight.add(entry)
        add(.end(entry))
    }

    /// Adds an entry without contents.
    func add(_ entry: TreeEntry) {
        weight.add(entry)
        add(.entry(entry))
    }

    /// Waits for everything and ends the thread. Returns the records' hashes, in the order in which the entries passed.
    func finish() throws -> SpillArray<Hash> {
        flush()
        queue.finish()
        worker.join()
        isEnded = true
        if let failure = results.failure { throw failure }
        return results.hashes
    }

    private func add(_ step: Step) {
        batch.append(step)
        if weight.bytes >= Self.batchBytes || batch.count >= Self.batchSteps { flush() }
    }

    private func flush() {
        // A failed thread processes nothing more; the failure is reported at the end.
        if !batch.isEmpty { _ = queue.push(batch) }
        batch = []
        weight = BatchWeight()
    }
}
