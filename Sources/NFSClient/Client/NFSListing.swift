// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// A directory listing in progress, call by call.
struct NFSListing: Sendable {
    /// The maximum size of one reply. libnfs takes at most 1 MiB.
    private static let size = 128 << 10
    /// The number of times a listing restarts because the directory changed.
    private static let restarts = 16

    let directory: NFSHandle
    private let limit: Int
    private var position = NFSDirectoryPosition()
    private var isComplete = false
    private var restartsLeft = restarts
    /// The entries listed so far.
    private(set) var entries: [NFSDirectoryEntry] = []

    /// Starts at the beginning; more than `limit` entries are an error.
    init(_ directory: NFSHandle, limit: Int) {
        self.directory = directory
        self.limit = limit
    }

    /// The call that brings more; nil when there is no more.
    var next: NFSCall? { isComplete ? nil : .list(directory, position, size: Self.size) }

    /// Adds a reply.
    mutating func take(_ reply: NFSReply) throws {
        guard case .entries(let new, let position, let isEnd) = reply else {
            throw NFSClient.senseless("READDIRPLUS")
        }
        guard isEnd || position != self.position else {
            throw LXCError(.corrupt, "the NFS server lists \"\(directory)\" without end")
        }
        guard entries.count + new.count <= limit else {
            throw LXCError(.limitExceeded, "\"\(directory)\" has more than \(limit) entries")
        }
        entries += new
        self.position = position
        isComplete = isEnd
    }

    /// Begins anew where the server has forgotten the position, because the directory changed. False when it was another
    /// refusal, or too many.
    mutating func restarts(after status: NFSStatus) -> Bool {
        guard status == .badCookie, restartsLeft > 0 else { return false }
        restartsLeft -= 1
        position = NFSDirectoryPosition()
        entries = []
        return true
    }
}
