import LXCCore

/// Hashes the contents of files in a thread of its own, in the order they pass.
///
/// What passes is handed over in batches that keep about two MiB, so that small files cost no change of threads.
final class ContentHashing {
    /// The hash of a file's record, and where the manifest keeps it.
    typealias Result = (inode: Int, hash: Hash)

    private enum Step: Sendable {
        case begin(size: UInt64)
        case piece(TreePiece)
        case end(TreeEntry, inode: Int)
    }

    /// How many batches may wait, how many steps and how many bytes of memory make one: more than one block of
    /// contents, or a block would be a batch.
    private static let waiting = 8
    private static let batchSteps = 512
    private static let batchBytes = 2 * SharedBytes.Maker.blockSize

    /// What the thread has found out; read when it has ended.
    private final class Results: @unchecked Sendable {
        // @unchecked: the thread's alone until it is joined.
        var list: [Result] = []
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
            while let batch = queue.pop() {
                for step in batch {
                    switch step {
                    case .begin(let size): hasher.begin(size: size)
                    case .piece(let piece): piece.bytes.withUnsafeBytes { hasher.update($0, at: piece.offset) }
                    case .end(let entry, let inode):
                        results.list.append((inode, EntryRecord(entry, contents: hasher.finish()).hash))
                    }
                }
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

    /// Takes a piece of its contents.
    func update(_ piece: TreePiece) {
        weight.add(piece.bytes)
        add(.piece(piece))
    }

    /// Ends the file, which `entry` describes and the manifest keeps as `inode`.
    func end(_ entry: TreeEntry, inode: Int) {
        var entry = entry
        // Where holes are does not count.
        entry.extents = nil
        weight.add(entry)
        add(.end(entry, inode: inode))
    }

    /// Waits for everything and ends the thread.
    func finish() -> [Result] {
        flush()
        queue.finish()
        worker.join()
        isEnded = true
        return results.list
    }

    private func add(_ step: Step) {
        batch.append(step)
        if weight.bytes >= Self.batchBytes || batch.count >= Self.batchSteps { flush() }
    }

    private func flush() {
        // Only the owner cancels the queue, so what is pushed is taken.
        if !batch.isEmpty { _ = queue.push(batch) }
        batch = []
        weight = BatchWeight()
    }
}
