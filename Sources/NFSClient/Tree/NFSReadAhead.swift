// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

/// Reads a tree ahead of its consumer: lists directories, reads links and contents, with many concurrent calls, in the
/// order in which the entries will be requested.
///
/// Directories are walked from the top down and names in bytewise order, so that the sequence depends on the tree alone.
final class NFSReadAhead: @unchecked Sendable {
    // @unchecked: every access to the variables below holds `condition`.
    /// The number of directories listed beyond the current one.
    private static let listedAhead = 64
    private static let entriesAhead = 1_024
    private static let bytesAhead = 24 << 20

    private let client: NFSClient
    private let root: NFSObject
    private let limits: TreeLimits
    private let cancellation: Cancellation
    private let condition = Condition()
    /// Directories to list, the next one last.
    private var toList: [NFSSourceDirectory] = []
    /// Directories whose listing is in progress or not consumed completely.
    private var held = 0
    /// The directories from the root to the current one.
    private var walked: [NFSSourceDirectory]
    private var items: [NFSSourceItem] = []
    /// The file of which not all was asked for.
    private var unrequested: NFSSourceItem?
    private var bytes = 0
    private var calls = 0
    private var listedEntries = 0
    /// A name whose type the server did not report is being looked up.
    private var isFinding = false
    private var failure: (any Error)?
    private var isRootGiven = false
    private var firstNames: [UInt64: TreePath] = [:]
    private var allLosses = TreeLosses()

    init(_ client: NFSClient, _ root: NFSObject, _ limits: TreeLimits, _ cancellation: Cancellation) {
        self.client = client
        self.root = root
        self.limits = limits
        self.cancellation = cancellation
        let top = NFSSourceDirectory(.root, root.handle, above: nil)
        walked = [top]
        toList = [top]
    }

    var losses: TreeLosses { condition.withLock { allLosses } }

    /// The next entry; nil after the last.
    func nextItem() throws -> NFSSourceItem? {
        condition.lock()
        defer { condition.unlock() }
        while true {
            advance()
            if let item = items.first, item.entry != nil {
                items.removeFirst()
                return item
            }
            if items.isEmpty, walked.isEmpty, failure == nil { return nil }
            try wait()
        }
    }

    /// The next piece of a file's contents that was read ahead; nil after the last.
    func nextPiece(of item: NFSSourceItem) throws -> TreePiece? {
        condition.lock()
        defer { condition.unlock() }
        while item.taken < item.attributes.size {
            if let piece = item.pieces.removeValue(forKey: item.taken) {
                defer { item.taken += UInt64(piece.count) }
                bytes -= piece.count
                advance()
                return TreePiece(offset: item.taken, bytes: piece)
            }
            advance()
            try wait()
        }
        return nil
    }

    /// Drops what was read ahead of a file.
    func skip(_ item: NFSSourceItem) {
        condition.withLock {
            item.isSkipped = true
            for piece in item.pieces.values { bytes -= piece.count }
            item.pieces = [:]
            if unrequested === item { unrequested = nil }
        }
    }

    private func wait() throws {
        if let failure { throw failure }
        try cancellation.check()
        condition.wait(atMost: .milliseconds(50))
    }

    private func fail(_ error: any Error) {
        failure = failure ?? error
        condition.broadcast()
    }

    /// Sends a call; the lock is held when `take` is called, and when `refused` is asked whether a refusal is dealt with.
    private func submit(
        _ call: NFSCall, _ path: TreePath, refused: @escaping @Sendable (NFSStatus) -> Bool = { _ in false },
        _ take: @escaping @Sendable (NFSReply) throws -> Void
    ) {
        calls += 1
        client.submit(call, cancellation: cancellation) { [self] result in
            condition.withLock {
                calls -= 1
                do {
                    switch result {
                    case .success(let reply): try take(reply)
                    case .failure(let failure):
                        guard let status = failure.status, refused(status) else {
                            throw failure.error("read \"\(path)\" on \(client.url.place)")
                        }
                    }
                    advance()
                } catch {
                    fail(error)
                }
                condition.broadcast()
            }
        }
    }

    /// Starts all work that may start.
    private func advance() {
        guard failure == nil else { return }
        while held < Self.listedAhead, let directory = toList.popLast() { list(directory) }
        do {
            while calls < client.options.window, bytes < Self.bytesAhead, items.count < Self.entriesAhead, !isFinding {
                guard try request() || walk() else { return }
            }
        } catch {
            fail(error)
        }
    }
}

// MARK: - Directories

extension NFSReadAhead {
    private func list(_ directory: NFSSourceDirectory) {
        guard directory.listing == .unlisted else { return }
        directory.listing = .underWay
        held += 1
        let known = UInt64(listedEntries)
        let limit = limits.entries > known ? Int(clamping: limits.entries - known) : 0
        read(NFSListing(directory.handle, limit: limit), of: Shared(value: directory))
    }

    /// Carries a value used only under the lock into a callback that holds it.
    private struct Shared<Value>: @unchecked Sendable { let value: Value }

    private func read(_ listing: NFSListing, of directory: Shared<NFSSourceDirectory>) {
        guard let call = listing.next else { return }
        // A server may forget the position, because the directory changed: it is listed anew, as elsewhere.
        let refused: @Sendable (NFSStatus) -> Bool = { [self] status in
            var listing = listing
            guard listing.restarts(after: status) else { return false }
            read(listing, of: directory)
            return true
        }
        submit(call, directory.value.path, refused: refused) { [self] reply in
            var listing = listing
            try listing.take(reply)
            if listing.next != nil { return read(listing, of: directory) }
            listedEntries += listing.entries.count
            take(listing.entries, in: directory.value)
        }
    }

    private func take(_ entries: [NFSDirectoryEntry], in directory: NFSSourceDirectory) {
        directory.take(entries)
        // The first is listed first: it is put last.
        for index in directory.entries.indices.reversed() {
            let entry = directory.entries[index]
            guard entry.attributes?.type == .directory, let handle = entry.handle else { continue }
            let child = NFSSourceDirectory(directory.path.appending(entry.name), handle, above: directory)
            directory.children[index] = child
            toList.append(child)
        }
    }

    /// Advances to the next entry. False if it is not known yet, or there is none.
    private func walk() throws -> Bool {
        guard let directory = walked.last else { return false }
        if directory.path.isRoot, directory.next == 0, items.isEmpty, !isRootGiven { try addRoot() }
        guard directory.listing == .listed else {
            // It may have been postponed for others; now nothing proceeds without it.
            list(directory)
            return false
        }
        guard directory.next < directory.entries.count else {
            walked.removeLast()
            directory.entries = []
            held -= 1
            return true
        }
        let index = directory.next
        directory.next += 1
        let entry = directory.entries[index]
        let path = directory.path.appending(entry.name)
        if let handle = entry.handle, let attributes = entry.attributes {
            try add(path, handle, attributes, directory, child: directory.children.removeValue(forKey: index))
        } else {
            find(entry.name, path, in: Shared(value: directory))
        }
        return true
    }

    /// Looks up a name that the server listed without its type.
    private func find(_ name: [UInt8], _ path: TreePath, in directory: Shared<NFSSourceDirectory>) {
        isFinding = true
        client.submit(.lookUp(name, in: directory.value.handle), cancellation: cancellation) { [self] result in
            condition.withLock {
                isFinding = false
                do {
                    switch result {
                    case .success(.object(let bytes?, let attributes?)):
                        let handle = NFSHandle(bytes: bytes, path: path.description)
                        try add(path, handle, attributes, directory.value, child: nil)
                    case .success: throw NFSClient.senseless("LOOKUP")
                    case .failure(let failure):
                        guard failure.status == .noEntry || failure.status == .stale else {
                            throw failure.error("read \"\(path)\" on \(client.url.place)")
                        }
                        allLosses.add("vanished", path)
                    }
                    advance()
                } catch {
                    fail(error)
                }
                condition.broadcast()
            }
        }
    }
}

// MARK: - Entries

extension NFSReadAhead {
    private func addRoot() throws {
        isRootGiven = true
        guard let attributes = root.attributes else { throw NFSClient.senseless("GETATTR") }
        let item = NFSSourceItem(.root, root.handle, attributes)
        item.entry = TreeEntry(.root, .directory, attributes)
        items.append(item)
    }

    private func add(
        _ path: TreePath, _ handle: NFSHandle, _ attributes: NFSAttributes, _ directory: NFSSourceDirectory,
        child: NFSSourceDirectory?
    ) throws {
        guard attributes.fileSystem == root.attributes?.fileSystem else {
            throw LXCError(
                .unsafe,
                "\"\(path)\" is another file system on the server; unmount it, because a copy does not cross them")
        }
        let item = NFSSourceItem(path, handle, attributes)
        if attributes.type != .directory, attributes.links > 1 {
            if let first = firstNames[attributes.fileID] {
                item.entry = TreeEntry(path, .hardLink(to: first), attributes)
                items.append(item)
                return
            }
            firstNames[attributes.fileID] = path
        }
        switch attributes.type {
        case .directory:
            guard !directory.isInside(handle) else {
                throw LXCError(.corrupt, "the NFS server says that \"\(path)\" contains itself")
            }
            walked.append(child ?? NFSSourceDirectory(path, handle, above: directory))
            item.entry = TreeEntry(path, .directory, attributes)
        case .file:
            item.entry = TreeEntry(path, .file(size: attributes.size), attributes)
            item.isSparse = attributes.mayHaveHoles
            if !item.isSparse, attributes.size > 0 { unrequested = item }
        case .symbolicLink: readLink(Shared(value: item))
        case .characterDevice, .blockDevice:
            let (major, minor) = attributes.device
            item.entry = TreeEntry(
                path,
                attributes.type == .blockDevice
                    ? .blockDevice(major: major, minor: minor) : .characterDevice(major: major, minor: minor),
                attributes)
        case .fifo: item.entry = TreeEntry(path, .fifo, attributes)
        case .socket:
            // It belongs to the program that made it.
            firstNames[attributes.fileID] = nil
            allLosses.add("socket", path)
            return
        }
        items.append(item)
    }

    private func readLink(_ item: Shared<NFSSourceItem>) {
        submit(.readLink(item.value.handle), item.value.path) { reply in
            guard case .target(let target) = reply, !target.isEmpty else { throw NFSClient.senseless("READLINK") }
            item.value.entry = TreeEntry(item.value.path, .symbolicLink(target: target), item.value.attributes)
        }
    }

    /// Asks for the next part of the file that is read. False when there is no such file.
    private func request() throws -> Bool {
        guard let item = unrequested else { return false }
        let offset = item.requested
        let count = Int(min(UInt64(client.readSize), item.attributes.size - offset))
        item.requested += UInt64(count)
        if item.requested == item.attributes.size { unrequested = nil }
        bytes += count
        read(Shared(value: item), offset, count)
        return true
    }

    private func read(_ item: Shared<NFSSourceItem>, _ offset: UInt64, _ count: Int) {
        submit(.read(item.value.handle, offset: offset, count: count), item.value.path) { [self] reply in
            guard case .data(let data, let isEnd) = reply else { throw NFSClient.senseless("READ") }
            guard !data.isEmpty, !(isEnd && data.count < count) else {
                throw LXCError(.io, "the file \"\(item.value.path)\" became shorter while it was read; try again")
            }
            if item.value.isSkipped { bytes -= data.count } else { item.value.pieces[offset] = data }
            if data.count < count { read(item, offset + UInt64(data.count), count - data.count) }
        }
    }
}

extension TreeEntry {
    init(_ path: TreePath, _ kind: Kind, _ attributes: NFSAttributes) {
        self.init(
            path: path, kind: kind, mode: attributes.mode, user: attributes.user, group: attributes.group,
            modified: attributes.modified)
    }
}

extension NFSAttributes {
    /// Whether so little of a large file is on the disk that looking for its holes is worth reading it twice.
    var mayHaveHoles: Bool { size >= 1 << 20 && used <= size / 2 }
}
