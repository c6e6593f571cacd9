// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// Maps entries from the source's owners to the container's, and from those to the destination's. Ids are in three
/// places: owner and group, ACL entries, and the root of file capabilities.
struct OwnerMapping {
    private let source: IDMap?
    private let destination: IDMap?

    /// Creates the mapping of a copy's two id maps.
    init(_ options: TreeCopyOptions) {
        source = options.sourceMap
        destination = options.destinationMap
    }

    /// The entry with ids as they are inside the container, and with attributes in the form the kernel shows them, so
    /// that every copy of a tree looks the same.
    func inside(_ entry: TreeEntry) throws -> TreeEntry {
        if case .symbolicLink(let target) = entry.kind, target.isEmpty || target.contains(0) {
            throw LXCError(.unsafe, "the symbolic link \"\(entry.path)\" has a target no link can have; refused")
        }
        let map = Translation(
            path: entry.path, place: "host", user: source?.containerUser, group: source?.containerGroup)
        var result = try map.apply(entry)
        if !result.attributes.isEmpty { Self.settleLists(of: &result) }
        return result
    }

    /// The entry with ids as they are at the destination.
    func outside(_ entry: TreeEntry) throws -> TreeEntry {
        guard let destination else { return entry }
        return try Translation(
            path: entry.path, place: "container", user: destination.hostUser, group: destination.hostGroup
        ).apply(entry)
    }

    /// An access ACL decides the nine mode bits; the kernel drops a list that adds nothing to them, and an empty list.
    private static func settleLists(of entry: inout TreeEntry) {
        entry.attributes.removeAll(where: \.isEmptyList)
        guard let index = entry.attributes.firstIndex(where: { $0.name == .accessACL }),
            let list = AccessControlList(entry.attributes[index].value), let bits = list.modeBits
        else { return }
        if case .symbolicLink = entry.kind { return }
        entry.mode = entry.mode & 0o7000 | bits
        if list.isMinimal { entry.attributes.remove(at: index) }
    }
}

/// One direction of a map for one entry.
private struct Translation {
    let path: TreePath
    let place: String
    let user: ((UInt32) -> UInt32?)?
    let group: ((UInt32) -> UInt32?)?

    func apply(_ entry: TreeEntry) throws -> TreeEntry {
        var entry = entry
        entry.user = try translate(entry.user, "user", user)
        entry.group = try translate(entry.group, "group", group)
        for index in entry.attributes.indices {
            let attribute = entry.attributes[index]
            // Ids that are not understood must not pass unmapped.
            if attribute.isCapability {
                guard var capability = FileCapability(attribute.value) else { throw malformed(attribute) }
                capability.root = try root(of: capability)
                entry.attributes[index].value = capability.value
            } else if attribute.isACL {
                guard let list = AccessControlList(attribute.value) else { throw malformed(attribute) }
                entry.attributes[index].value = try apply(list).value
            }
        }
        return entry
    }

    private func malformed(_ attribute: TreeEntry.Attribute) -> LXCError {
        LXCError(.corrupt, "\"\(path)\" has a \(attribute.name) that Linux cannot read; refused")
    }

    private func apply(_ list: AccessControlList) throws -> AccessControlList {
        AccessControlList(
            try list.entries.map { entry in
                var entry = entry
                if entry.tag == .user { entry.id = try translate(entry.id, "user", user) }
                if entry.tag == .group { entry.id = try translate(entry.id, "group", group) }
                return entry
            })
    }

    /// Capabilities of the host's own root in a mapped source have no effect in the container; they are converted to
    /// the container's root, as if the tree had been unpacked without the mapping.
    private func root(of capability: FileCapability) throws -> UInt32 {
        if place == "host", capability.root == 0 { return 0 }
        return try translate(capability.root, "user", user)
    }

    private func translate(_ id: UInt32, _ what: String, _ map: ((UInt32) -> UInt32?)?) throws -> UInt32 {
        // chown(2) interprets this number as "leave it unchanged".
        guard id != .max else {
            throw LXCError(.unsafe, "\"\(path)\" has the \(what) id 4294967295, which no file can have; refused")
        }
        guard let map else { return id }
        guard let mapped = map(id) else {
            throw LXCError(
                .invalidArgument, "\"\(path)\" belongs to \(place) \(what) \(id), which is outside the id map; widen it"
            )
        }
        return mapped
    }
}
