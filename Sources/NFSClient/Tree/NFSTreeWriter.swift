// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import Synchronization

/// The state shared by all writers of one tree: the client, the work in flight, and the losses.
final class NFSTreeWriter: Sendable {
    let client: NFSClient
    let cancellation: Cancellation
    /// Entries and contents under way.
    let budget: FlowBudget
    private let isLossless: Bool
    private let state = Mutex(State())

    private struct State {
        var losses = TreeLosses()
        var passesOverLinkTimes = false
    }

    init(_ client: NFSClient, _ cancellation: Cancellation, isLossless: Bool) {
        self.client = client
        self.cancellation = cancellation
        self.isLossless = isLossless
        // A file takes three successive calls, so more files than the window keep it full. A batch of a large file
        // stays until it is committed.
        budget = FlowBudget(items: client.options.window * 3, bytes: 3 * NFSLargeFile.batchBytes)
    }

    var losses: TreeLosses { state.withLock { $0.losses } }

    /// Counts a loss; with `lossless` it ends the work.
    func lose(_ kind: String, _ path: TreePath) {
        state.withLock { $0.losses.add(kind, path) }
        guard isLossless else { return }
        budget.fail(
            LXCError(.lossRefused, "NFS cannot hold \(kind.escapedForDisplay) of \"\(path)\"; allow losses to go on"))
    }

    /// Counts attributes as lost: NFSv3 has none.
    func loseAttributes(of entry: TreeEntry) {
        for attribute in entry.attributes { lose(attribute.lossKind, entry.path) }
    }

    /// Whether this server has been seen to take times of symbolic links without keeping them.
    var passesOverLinkTimes: Bool {
        get { state.withLock { $0.passesOverLinkTimes } }
        set { state.withLock { $0.passesOverLinkTimes = newValue } }
    }

    /// Sends a call for an entry; its failure ends the work.
    func submit(_ call: NFSCall, _ path: TreePath, _ completion: @escaping @Sendable (NFSReply) -> Void) {
        client.submit(call, cancellation: cancellation) { [self] result in
            switch result {
            case .success(let reply): completion(reply)
            case .failure(let failure): fail(failure, path)
            }
        }
    }

    /// Ends the work.
    func fail(_ failure: NFSFailure, _ path: TreePath) {
        if failure.status == .notOwner {
            budget.fail(
                LXCError(
                    .permissionDenied,
                    "cannot give \"\(path)\" its owner on \(client.url.place); export it with no_root_squash, to a "
                        + "client that is root", cause: failureCause(failure)))
        } else {
            budget.fail(failure.error("write \"\(path)\" on \(client.url.place)"))
        }
    }

    private func failureCause(_ failure: NFSFailure) -> (any Error)? {
        if case .refused(let error) = failure { error } else { nil }
    }

    /// Ends the work because of a malformed reply.
    func fail(senseless procedure: String) { budget.fail(NFSClient.senseless(procedure)) }
}

// MARK: - Attributes

extension NFSTreeWriter {
    /// The attributes an entry is made with. The setuid and setgid bits come later: a change of owner clears them.
    func newAttributes(of entry: TreeEntry, withTime: Bool) -> NFSNewAttributes {
        var attributes = NFSNewAttributes(user: entry.user, group: entry.group)
        if EntryShape(entry) != .link { attributes.mode = entry.mode & 0o1777 }
        if withTime { attributes.modified = .at(entry.modified) }
        return attributes
    }

    /// Sets the attributes of a new object as far as they differ, and calls `completion` when they are right.
    ///
    /// - Parameters:
    ///   - entry: the wanted attributes.
    ///   - handle: the new object.
    ///   - made: the object's attributes, if the server reported them.
    ///   - size: the size to set.
    ///   - timeIsOld: whether contents were written since, which changed the time.
    ///   - completion: called when nothing is left to be done.
    func complete(
        _ entry: TreeEntry, _ handle: NFSHandle, _ made: NFSAttributes?, size: UInt64? = nil, timeIsOld: Bool,
        _ completion: @escaping @Sendable () -> Void
    ) {
        let isLink = EntryShape(entry) == .link
        var wanted = NFSNewAttributes(size: size)
        if made?.user != entry.user { wanted.user = entry.user }
        if made?.group != entry.group { wanted.group = entry.group }
        let changesOwner = wanted.user != nil || wanted.group != nil
        let setsID = entry.mode & 0o6000 != 0 && EntryShape(entry) != .directory
        if !isLink, made?.mode != entry.mode, !(changesOwner && setsID) { wanted.mode = entry.mode }
        let lacksTime = timeIsOld || size != nil || made?.modified != entry.modified
        if lacksTime, !(isLink && passesOverLinkTimes) {
            wanted.modified = .at(entry.modified)
            // A new object was just read.
            wanted.accessed = isLink ? nil : .at(entry.modified)
        }
        guard !wanted.isEmpty else { return check(entry, made, completion) }
        submit(.setAttributes(handle, wanted), entry.path) { [self] reply in
            guard case .done(let result) = reply else { return fail(senseless: "SETATTR") }
            guard !isLink, changesOwner, setsID else { return check(entry, result, completion) }
            // Servers clear these bits in a call that changes the owner too.
            submit(.setAttributes(handle, NFSNewAttributes(mode: entry.mode)), entry.path) { [self] reply in
                guard case .done(let result) = reply else { return fail(senseless: "SETATTR") }
                check(entry, result, completion)
            }
        }
    }

    /// Checks the attributes set by the server: wrong owners and modes would be a security hole, wrong times are a
    /// loss.
    private func check(_ entry: TreeEntry, _ result: NFSAttributes?, _ completion: @Sendable () -> Void) {
        defer { completion() }
        if UInt32(exactly: entry.modified.seconds) == nil { lose("time", entry.path) }
        guard let result else { return }
        guard result.user == entry.user, result.group == entry.group else {
            return budget.fail(
                LXCError(
                    .permissionDenied,
                    "the server gave \"\(entry.path)\" to \(result.user):\(result.group) instead of "
                        + "\(entry.user):\(entry.group); export \(client.url.place) with no_root_squash"))
        }
        let isLink = EntryShape(entry) == .link
        guard isLink || result.mode == entry.mode else {
            return budget.fail(
                LXCError(
                    .unsupported,
                    "the server gave \"\(entry.path)\" the mode \(String(result.mode, radix: 8)) instead of "
                        + String(entry.mode, radix: 8)))
        }
        guard result.modified != entry.modified, UInt32(exactly: entry.modified.seconds) != nil else { return }
        if isLink { passesOverLinkTimes = true }
        lose(isLink ? "linkTime" : "time", entry.path)
    }
}

/// The type of an entry's object, where its other properties do not matter.
enum EntryShape {
    case directory, file, link, other

    init(_ entry: TreeEntry) {
        switch entry.kind {
        case .directory: self = .directory
        case .file: self = .file
        case .symbolicLink: self = .link
        default: self = .other
        }
    }
}
