// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import Synchronization

/// Removes a name and everything below it by handles, with many concurrent calls: never through a symbolic link, never
/// into another file system. Ignores names that vanish in the meantime.
final class NFSRemover: Sendable {
    /// The number of directories emptied concurrently.
    private static let activeDirectories = 32
    /// The number of times one directory is listed again because names were added while it was emptied.
    private static let returns = 1_000

    /// A directory that is removed.
    private final class Directory: @unchecked Sendable {
        // @unchecked: the variables are used under the remover's lock, or on the connection's thread alone.
        let handle: NFSHandle
        let name: [UInt8]
        let above: Directory?
        /// The directory above the topmost.
        let outside: NFSHandle
        /// The number of removals inside not finished.
        var unfinished = 0
        var isListedToEnd = false
        var returnsLeft = NFSRemover.returns

        init(_ handle: NFSHandle, _ name: [UInt8], above: Directory?, outside: NFSHandle) {
            self.handle = handle
            self.name = name
            self.above = above
            self.outside = outside
        }

        var parent: NFSHandle { above?.handle ?? outside }

        /// Whether a handle is this directory's or that of one above it: no tree has such a loop, but a server may
        /// report one.
        func isInside(_ handle: NFSHandle) -> Bool {
            var next: Directory? = self
            while let directory = next {
                if directory.handle == handle { return true }
                next = directory.above
            }
            return false
        }
    }

    private struct State {
        var waiting: [(directory: Directory, attributes: NFSAttributes?)] = []
        var active = 0
    }

    private let client: NFSClient
    private let cancellation: Cancellation?
    private let state = Mutex(State())
    /// The file system of the tree to remove.
    private let fileSystem = Mutex<UInt64?>(nil)
    /// Its one item is the whole work.
    private let work = FlowBudget(items: 1, bytes: 0)

    init(_ client: NFSClient, _ cancellation: Cancellation?) {
        self.client = client
        self.cancellation = cancellation
    }

    /// Removes the tree, or the file, and waits for that.
    func remove(_ name: [UInt8], in parent: NFSHandle, onlyDirectory: Bool = false) throws {
        let found: NFSObject
        do {
            found = try client.lookUp(name, in: parent, cancellation)
        } catch let error as LXCError where error.code == .notFound {
            return
        }
        guard found.attributes?.type == .directory || !onlyDirectory else {
            throw LXCError(
                .invalidArgument, "\"\(found.handle)\" on \(client.url.place) is not a directory, so it is not removed")
        }
        try work.acquire(items: 1, bytes: 0, cancellation: cancellation)
        fileSystem.withLock { $0 = found.attributes?.fileSystem }
        if found.attributes?.type == .directory {
            enqueue(Directory(found.handle, name, above: nil, outside: parent), found.attributes)
        } else {
            submit(.remove(name, in: parent, of: found.handle), found.handle.path) { [self] _, _ in
                work.release(items: 1, bytes: 0)
            }
        }
        try work.waitUntilIdle(cancellation: cancellation)
    }

    // MARK: Directories

    private func enqueue(_ directory: Directory, _ attributes: NFSAttributes?) {
        state.withLock { $0.waiting.append((directory, attributes)) }
        startWaiting()
    }

    private func startWaiting() {
        while let (directory, attributes) = state.withLock({ state -> (Directory, NFSAttributes?)? in
            guard state.active < Self.activeDirectories, let next = state.waiting.popLast() else { return nil }
            state.active += 1
            return next
        }) {
            open(directory, attributes)
        }
    }

    /// The owner may have shut himself out.
    private func open(_ directory: Directory, _ attributes: NFSAttributes?) {
        guard let attributes, attributes.mode & 0o700 != 0o700 else { return list(directory) }
        submit(.setAttributes(directory.handle, NFSNewAttributes(mode: 0o700)), directory.handle.path) { [self] _, _ in
            list(directory)
        }
    }

    /// Lists as much as one reply has, always from the beginning: what was listed before is gone.
    private func list(_ directory: Directory) {
        let listing = NFSListing(directory.handle, limit: .max)
        guard let call = listing.next else { return }
        submit(call, directory.handle.path) { [self] reply, _ in
            guard case .entries(let entries, _, let isEnd)? = reply else {
                // The directory vanished.
                return removed(directory, endsActivity: true)
            }
            directory.isListedToEnd = isEnd
            empty(directory, of: entries)
        }
    }

    private func empty(_ directory: Directory, of entries: [NFSDirectoryEntry]) {
        // One more, so that nothing is finished while there are more to come.
        state.withLock { _ in directory.unfinished = entries.count + 1 }
        for entry in entries {
            let handle = NFSHandle(bytes: [], path: directory.handle.pathOf(entry.name))
            if let attributes = entry.attributes, let handle = entry.handle {
                remove(entry.name, NFSObject(handle, attributes), in: directory)
            } else {
                submit(.lookUp(entry.name, in: directory.handle), handle.path) { [self] reply, _ in
                    guard case .object(let bytes?, let attributes)? = reply else { return finishOne(in: directory) }
                    remove(
                        entry.name, NFSObject(NFSHandle(bytes: bytes, path: handle.path), attributes), in: directory)
                }
            }
        }
        state.withLock { $0.active -= 1 }
        finishOne(in: directory)
        startWaiting()
    }

    private func remove(_ name: [UInt8], _ object: NFSObject, in directory: Directory) {
        guard object.attributes?.type == .directory else {
            return submit(.remove(name, in: directory.handle, of: object.handle), object.handle.path) { [self] _, _ in
                finishOne(in: directory)
            }
        }
        if let other = object.attributes?.fileSystem, let own = fileSystem.withLock({ $0 }), other != own {
            return work.fail(
                LXCError(
                    .inUse,
                    "\"\(object.handle.path)\" is another file system on the server; unmount it before it is removed"))
        }
        guard !directory.isInside(object.handle) else {
            return work.fail(LXCError(.corrupt, "the NFS server says that \"\(object.handle.path)\" contains itself"))
        }
        enqueue(
            Directory(object.handle, name, above: directory, outside: directory.outside), object.attributes)
    }

    private func finishOne(in directory: Directory) {
        let isEmpty = state.withLock { _ in
            directory.unfinished -= 1
            return directory.unfinished == 0
        }
        guard isEmpty else { return }
        guard directory.isListedToEnd else { return enqueueAgain(directory) }
        let call = NFSCall.removeDirectory(directory.name, in: directory.parent, of: directory.handle)
        submit(call, directory.handle.path) { [self] _, status in
            if status == .notEmpty { enqueueAgain(directory) } else { removed(directory, endsActivity: false) }
        }
    }

    /// Names were added while it was emptied, or one reply did not have all.
    private func enqueueAgain(_ directory: Directory) {
        if directory.isListedToEnd { directory.returnsLeft -= 1 }
        guard directory.returnsLeft > 0 else {
            return work.fail(LXCError(.inUse, "names are added to \"\(directory.handle)\" while it is removed"))
        }
        enqueue(directory, nil)
    }

    private func removed(_ directory: Directory, endsActivity: Bool) {
        if endsActivity { state.withLock { $0.active -= 1 } }
        if let above = directory.above { finishOne(in: above) } else { work.release(items: 1, bytes: 0) }
        if endsActivity { startWaiting() }
    }

    // MARK: Calls

    /// Sends a call. A missing object, or a directory that is not empty, is reported to `completion` by the status
    /// alone; any other failure ends the work.
    private func submit(
        _ call: NFSCall, _ path: String, _ completion: @escaping @Sendable (NFSReply?, NFSStatus?) -> Void
    ) {
        guard work.error == nil else { return }
        client.submit(call, cancellation: cancellation) { [self] result in
            switch result {
            case .success(let reply): completion(reply, nil)
            case .failure(let failure):
                if let status = failure.status, [.noEntry, .stale, .notEmpty].contains(status) {
                    return completion(nil, status)
                }
                work.fail(failure.error("remove \"\(path)\" on \(client.url.place)"))
            }
        }
    }
}
