// SPDX-License-Identifier: Apache-2.0

import FileTree
package import LXCCore
package import NFSClient
package import StoreFiles
import Synchronization

/// Reads whole directories: one listing, which includes the attributes, and the contents with many concurrent calls.
extension NFSStoreFiles {
    package func scan(_ path: String) async throws -> [StoredName] {
        try await objects(in: path) { _ in true }.compactMap { name, object in
            object.attributes.map { StoredName(name, $0.storedKind) }
        }
    }

    package func readAll(
        in path: String, limit: Int, where isWanted: @escaping @Sendable (String) -> Bool
    ) async throws -> [String: Result<[UInt8], LXCError>] {
        let objects = try await objects(in: path, where: isWanted)
        typealias Contents = (String, Result<[UInt8], LXCError>)
        let contents = try await sideBySide(objects) { [client] name, object -> Contents? in
            guard let type = object.attributes?.type else { return nil }
            do {
                guard type == .file else { throw LXCError(.corrupt, "\(self)/\(path)/\(name) is not a regular file") }
                return (name, .success(try await client.contents(of: object.handle, limit: limit)))
            } catch let error as LXCError where error.code == .notFound {
                return nil
            } catch let error as LXCError {
                return (name, .failure(error))
            }
        }
        return Dictionary(contents) { first, _ in first }
    }

    package func missing(ofPrivateDirectories paths: [String]) async throws -> [String] {
        let missing = try await sideBySide(paths.map { ($0, $0) }) { path, _ -> String? in
            guard let found = try await find(path) else { return path }
            try requirePrivate(found.attributes, path)
            return nil
        }
        return paths.filter(missing.contains)
    }

    package func removeEmptyDirectory(_ path: String) async throws {
        guard let (parent, name) = try await existingPlace(path) else { return }
        do {
            try await client.removeDirectory(name, in: parent)
        } catch let error as LXCError where error.code == .notFound || error.code == .alreadyExists {
            // Gone, or not empty.
        }
    }

    /// The client's counters.
    package var counters: NFSCounters { client.counters }

    // MARK: Passing through

    /// NFSv3 has no access lists: either everyone can pass or no one.
    package func passage() async throws -> StorePassage {
        let mode = try await client.attributes(of: client.root).mode
        return StorePassage(everyone: mode & 0o001 != 0, namesUsers: false, isLoose: mode & 0o066 != 0)
    }

    package func setPassage(_ passage: StorePassage) async throws {
        let mode = try await client.attributes(of: client.root).mode
        let bits: UInt16 = passage.everyone ? 0o711 : 0o700
        try await client.setAttributes(NFSNewAttributes(mode: mode & 0o7000 | bits), of: client.root)
    }

    // MARK: Details

    /// The names of a directory in order, each with its handle and attributes, which servers need not send in a listing.
    private func objects(
        in path: String, where isWanted: (String) -> Bool
    ) async throws -> [(String, NFSObject)] {
        guard let directory = try await find(path), directory.type == .directory else { return [] }
        let entries = try await client.list(directory.handle).map { (String(decoding: $0.name, as: UTF8.self), $0) }
        let objects = try await sideBySide(entries.filter { isWanted($0.0) }) {
            [client] name, entry -> (String, NFSObject)? in
            if let handle = entry.handle, let attributes = entry.attributes {
                return (name, NFSObject(handle, attributes))
            }
            do {
                let found = try await client.lookUp(entry.name, in: directory.handle)
                let attributes =
                    if let known = found.attributes { known } else {
                        try await client.attributes(of: found.handle)
                    }
                return (name, NFSObject(found.handle, attributes))
            } catch let error as LXCError where error.code == .notFound {
                return nil
            }
        }
        return objects.sorted { $0.0 < $1.0 }
    }

    /// Calls `body` for each item, with as many concurrent calls as the client allows. The results come in no order.
    private func sideBySide<Item: Sendable, Value: Sendable>(
        _ items: [(String, Item)], _ body: @escaping @Sendable (String, Item) async throws -> Value?
    ) async throws -> [Value] {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            var rest = items[...]
            for (name, item) in rest.prefix(client.options.window) { group.addTask { try await body(name, item) } }
            rest = rest.dropFirst(client.options.window)
            var values: [Value] = []
            while let value = try await group.next() {
                if let value { values.append(value) }
                if let (name, item) = rest.popFirst() { group.addTask { try await body(name, item) } }
            }
            return values
        }
    }
}

extension NFSAttributes {
    /// The type of the object for stores.
    var storedKind: StoredKind {
        switch type {
        case .directory: .directory
        case .file: .file(size: size)
        default: .other
        }
    }
}

/// Whether a server was seen to keep the owners of files.
final class NFSOwnershipSeen: Sendable {
    private let seen = Mutex(false)

    var isSeen: Bool {
        get { seen.withLock { $0 } }
        set { seen.withLock { $0 = newValue } }
    }
}
