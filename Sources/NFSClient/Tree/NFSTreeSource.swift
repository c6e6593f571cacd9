// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

/// One reading of a directory on an NFS server, entry by entry.
final class NFSTreeSource: TreeSource {
    private let client: NFSClient
    private let cancellation: Cancellation
    private let ahead: NFSReadAhead
    private var current: NFSSourceItem?
    private var sparse: NFSSparseFile?
    private var bytesRead: UInt64 = 0

    init(_ client: NFSClient, _ root: NFSObject, _ limits: TreeLimits, _ cancellation: Cancellation) {
        self.client = client
        self.cancellation = cancellation
        ahead = NFSReadAhead(client, root, limits, cancellation)
    }

    var position: (read: UInt64, total: UInt64?) { (bytesRead, nil) }
    var losses: TreeLosses { ahead.losses }

    func next() throws -> TreeEntry? {
        if let current { ahead.skip(current) }
        sparse = nil
        current = try ahead.nextItem()
        guard let current, var entry = current.entry else { return nil }
        if case .file(let size) = entry.kind {
            bytesRead += size
            if current.isSparse {
                let file = NFSSparseFile(client, current, cancellation)
                entry.extents = try file.findExtents()
                sparse = file
            }
        }
        return entry
    }

    func nextPiece() throws -> TreePiece? {
        if let sparse { return try sparse.nextPiece() }
        guard let current, case .file? = current.entry?.kind else { return nil }
        return try ahead.nextPiece(of: current)
    }
}
