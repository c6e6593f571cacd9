// SPDX-License-Identifier: Apache-2.0

import FileTree
import Glibc
import LXCCore
import Synchronization

/// Writes one file with more contents than fit one WRITE: concurrent UNSTABLE writes, and a COMMIT for each batch of
/// them. Uncommitted contents are kept, and written again if the server may have lost them.
final class NFSLargeFile: Sendable {
    /// The number of bytes written between commits.
    static let batchBytes = 16 << 20
    /// The number of times a batch is written; a server that restarts more often is considered broken.
    private static let attempts = 8

    /// Writes that are committed together.
    private final class Batch: @unchecked Sendable {
        // @unchecked: used under the file's lock.
        var pieces: [TreePiece] = []
        var bytes = 0
        var unwritten = 0
        var isClosed = false
        var verifiers: Set<NFSVerifier> = []
        var needsCommit = false
        var attemptsLeft = NFSLargeFile.attempts

        /// Whether everything is written that there will be.
        var isWritten: Bool { isClosed && unwritten == 0 }
    }

    private struct State {
        var made: NFSAttributes?
        var batch = Batch()
        /// The number of uncommitted batches, including the one being filled.
        var unfinished = 1
        var isEnded = false
        /// The end of the written data, and the end of the contents, which may be zeros beyond it.
        var writtenEnd: UInt64 = 0
        var end: UInt64
    }

    private let writer: NFSTreeWriter
    private let entry: TreeEntry
    private let file: NFSFutureHandle
    private let state: Mutex<State>

    /// Makes a file of at least `size` bytes; it holds a share of one item, which is given back at the end.
    init(_ entry: TreeEntry, size: UInt64, in directory: NFSFutureHandle, _ writer: NFSTreeWriter) {
        self.writer = writer
        self.entry = entry
        file = NFSFutureHandle()
        state = Mutex(State(end: size))
        let attributes = writer.newAttributes(of: entry, withTime: false)
        directory.whenMade { [self] handle in
            let call = NFSCall.create(Array(entry.path.name), in: handle, .guarded(attributes))
            writer.submit(call, entry.path) { [self] in made($0) }
        }
    }

    /// Creates an NFS large file from a file that was made and is empty, in the same way.
    init(_ entry: TreeEntry, _ made: NFSHandle, _ attributes: NFSAttributes, _ writer: NFSTreeWriter) {
        self.writer = writer
        self.entry = entry
        file = NFSFutureHandle(made)
        state = Mutex(State(made: attributes, end: 0))
    }

    private func made(_ reply: NFSReply) {
        guard case .object(let bytes?, let attributes) = reply else { return writer.fail(senseless: "CREATE") }
        state.withLock { $0.made = attributes }
        file.made(NFSHandle(bytes: bytes))
    }

    // MARK: The copy's thread

    /// Writes contents as soon as there is a share for them.
    func write(_ piece: TreePiece) throws {
        try writer.budget.acquire(items: 0, bytes: piece.bytes.count, cancellation: writer.cancellation)
        let unit = UInt64(writer.client.writeSize)
        var rest = piece
        while !rest.bytes.isEmpty {
            // Each WRITE is aligned, so that the server writes each page once.
            let length = Int(min(unit - rest.offset % unit, UInt64(rest.bytes.count)))
            add(TreePiece(offset: rest.offset, bytes: rest.bytes.prefix(length)))
            rest = TreePiece(offset: rest.offset + UInt64(length), bytes: rest.bytes.dropFirst(length))
        }
    }

    /// Says that there are no more contents.
    func end() {
        let batch = state.withLock { state in
            state.isEnded = true
            state.batch.isClosed = true
            return state.batch
        }
        finishIfWritten(batch)
    }

    private func add(_ piece: TreePiece) {
        // The unwritten parts of a new file are zero.
        let isHole = piece.bytes.areZeros
        let (batch, full) = state.withLock { state -> (Batch, Batch?) in
            let batch = state.batch
            let end = piece.offset + UInt64(piece.bytes.count)
            batch.bytes += piece.bytes.count
            state.end = max(state.end, end)
            if !isHole {
                batch.pieces.append(piece)
                batch.unwritten += 1
                state.writtenEnd = end
            }
            guard batch.bytes >= Self.batchBytes else { return (batch, nil) }
            batch.isClosed = true
            state.batch = Batch()
            state.unfinished += 1
            return (batch, batch)
        }
        if !isHole { file.whenMade { [self] in send(piece, batch, to: $0) } }
        if let full { finishIfWritten(full) }
    }

    // MARK: Writing

    private func send(_ piece: TreePiece, _ batch: Batch, to handle: NFSHandle) {
        writer.submit(.write(handle, offset: piece.offset, piece.bytes, .unstable), entry.path) { [self] reply in
            guard case .written(let written) = reply else { return writer.fail(senseless: "WRITE") }
            state.withLock { _ in
                batch.verifiers.insert(written.verifier)
                if written.stability != .file { batch.needsCommit = true }
            }
            guard written.count == piece.bytes.count else {
                let rest = piece.bytes.dropFirst(written.count)
                return send(TreePiece(offset: piece.offset + UInt64(written.count), bytes: rest), batch, to: handle)
            }
            state.withLock { _ in batch.unwritten -= 1 }
            finishIfWritten(batch)
        }
    }

    /// Commits a complete batch. Exactly one of the callers that complete it finds it complete.
    private func finishIfWritten(_ batch: Batch) {
        let isWritten = state.withLock { _ in
            guard batch.isWritten else { return false }
            batch.unwritten = -1
            return true
        }
        guard isWritten else { return }
        guard state.withLock({ _ in batch.needsCommit }) else { return finished(batch) }
        file.whenMade { [self] in commit(batch, $0) }
    }

    private func commit(_ batch: Batch, _ handle: NFSHandle) {
        writer.submit(.commit(handle), entry.path) { [self] reply in
            guard case .committed(let verifier) = reply else { return writer.fail(senseless: "COMMIT") }
            if state.withLock({ _ in batch.verifiers == [verifier] }) { return finished(batch) }
            // The server was restarted in between, and has lost data not on disk.
            let pieces = state.withLock { _ in
                batch.attemptsLeft -= 1
                batch.verifiers = []
                batch.needsCommit = false
                batch.unwritten = batch.pieces.count
                return batch.attemptsLeft > 0 ? batch.pieces : []
            }
            guard !pieces.isEmpty else {
                return writer.budget.fail(
                    LXCError(.io, "the NFS server repeatedly loses data written to \"\(entry.path)\" again and again"))
            }
            for piece in pieces {
                writer.client.counting.count { $0.rewrittenBytes += piece.bytes.count }
                send(piece, batch, to: handle)
            }
        }
    }

    private func finished(_ batch: Batch) {
        let isComplete = state.withLock { state in
            batch.pieces = []
            state.unfinished -= 1
            return state.unfinished == 0 && state.isEnded
        }
        writer.budget.release(items: 0, bytes: batch.bytes)
        if isComplete { file.whenMade { [self] in complete($0) } }
    }

    private func complete(_ handle: NFSHandle) {
        let (made, size) = state.withLock { ($0.made, $0.writtenEnd < $0.end ? $0.end : nil) }
        writer.complete(entry, handle, made, size: size, timeIsOld: true) { [self] in
            writer.budget.release(items: 1, bytes: 0)
        }
    }
}

extension SharedBytes {
    /// Whether all bytes are zero.
    var areZeros: Bool {
        withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress, bytes[0] == 0 else { return bytes.isEmpty }
            return memcmp(base, base + 1, bytes.count - 1) == 0
        }
    }
}
