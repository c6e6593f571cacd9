// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

/// Makes one entry that has no contents, or so few that one WRITE brings them: CREATE, WRITE to disk, SETATTR.
///
/// Its parts are called one after the other by the copy's thread and then the connection's.
final class NFSSmallEntry: @unchecked Sendable {
    // @unchecked: handed from the copy's thread to the connection's at `start`.
    private let writer: NFSTreeWriter
    private let entry: TreeEntry
    private var pieces: [TreePiece] = []
    private(set) var byteCount = 0
    private var unwritten = 0
    private var end: UInt64 = 0
    private var attributes: NFSAttributes?

    init(_ entry: TreeEntry, _ writer: NFSTreeWriter) {
        self.entry = entry
        self.writer = writer
    }

    /// Adds contents, already counted by the caller.
    func add(_ piece: TreePiece) {
        byteCount += piece.bytes.count
        end = piece.offset + UInt64(piece.bytes.count)
        if let last = pieces.last, last.offset + UInt64(last.bytes.count) == piece.offset {
            // Two stretches of memory cost one copy, or a call.
            pieces[pieces.count - 1].bytes = last.bytes.followed(by: piece.bytes)
        } else {
            pieces.append(piece)
        }
    }

    /// Makes it in a directory. The share of one item and of the contents is given back at the end.
    func start(in directory: NFSFutureHandle) {
        directory.whenMade { [self] handle in
            writer.client.submit(call(in: handle), cancellation: writer.cancellation) { [self] result in
                switch result {
                case .success(let reply): made(reply)
                case .failure(let failure):
                    guard isDevice, let status = failure.status, Self.deviceRefusals.contains(status) else {
                        return writer.fail(failure, entry.path)
                    }
                    writer.lose("device", entry.path)
                    writer.budget.release(items: 1, bytes: byteCount)
                }
            }
        }
    }

    /// The answers of a server that makes no devices, or not for this client.
    private static let deviceRefusals: Set<NFSStatus> = [.notOwner, .access, .notSupported, .badType]

    private var isDevice: Bool {
        switch entry.kind {
        case .characterDevice, .blockDevice: true
        default: false
        }
    }

    private func call(in directory: NFSHandle) -> NFSCall {
        let name = Array(entry.path.name)
        let attributes = writer.newAttributes(of: entry, withTime: pieces.isEmpty)
        return switch entry.kind {
        case .symbolicLink(let target):
            .makeSymbolicLink(name, in: directory, target: target, attributes)
        case .characterDevice(let major, let minor):
            .makeNode(name, in: directory, .characterDevice(major: major, minor: minor), attributes)
        case .blockDevice(let major, let minor):
            .makeNode(name, in: directory, .blockDevice(major: major, minor: minor), attributes)
        case .fifo: .makeNode(name, in: directory, .fifo, attributes)
        case .file, .directory, .hardLink: .create(name, in: directory, .guarded(attributes))
        }
    }

    private func made(_ reply: NFSReply) {
        guard case .object(let bytes?, let attributes) = reply else { return writer.fail(senseless: "CREATE") }
        self.attributes = attributes
        let handle = NFSHandle(bytes: bytes)
        guard !pieces.isEmpty else { return complete(handle) }
        unwritten = pieces.count
        for piece in pieces { write(piece, to: handle) }
    }

    private func write(_ piece: TreePiece, to handle: NFSHandle) {
        writer.submit(.write(handle, offset: piece.offset, piece.bytes, .file), entry.path) { [self] reply in
            guard case .written(let written) = reply, written.stability == .file else {
                return writer.fail(senseless: "WRITE")
            }
            if written.count < piece.bytes.count {
                let rest = TreePiece(
                    offset: piece.offset + UInt64(written.count), bytes: piece.bytes.dropFirst(written.count))
                return write(rest, to: handle)
            }
            unwritten -= 1
            if unwritten == 0 { complete(handle) }
        }
    }

    private func complete(_ handle: NFSHandle) {
        var size: UInt64?
        if case .file(let wanted) = entry.kind, end < wanted { size = wanted }
        writer.complete(entry, handle, attributes, size: size, timeIsOld: !pieces.isEmpty) { [self] in
            pieces = []
            writer.budget.release(items: 1, bytes: byteCount)
        }
    }
}

extension SharedBytes {
    /// Both, one after the other, in memory of their own.
    fileprivate func followed(by other: SharedBytes) -> SharedBytes {
        var joined: [UInt8] = []
        joined.reserveCapacity(count + other.count)
        withUnsafeBytes { joined += $0 }
        other.withUnsafeBytes { joined += $0 }
        return SharedBytes(copying: joined)
    }
}
