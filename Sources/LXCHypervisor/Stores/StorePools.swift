// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LibvirtXML
import PrimaryStore

/// The primary stores of a host. There is at least one, and no two are the same pool.
struct StorePools: Sendable {
    /// The stores in the order given; the first is the default.
    let stores: [any PrimaryStore]

    /// Creates the pools of a host with a single store.
    init(_ store: any PrimaryStore) { stores = [store] }

    /// Creates the pools of a host with several stores.
    ///
    /// - Throws: `LXCError` `invalidArgument` if there is no store or two are the same.
    init(_ stores: [any PrimaryStore]) throws {
        guard !stores.isEmpty else { throw LXCError(.invalidArgument, "a host needs at least one primary store") }
        var ids: Set<PoolID> = []
        for store in stores where !ids.insert(store.id).inserted {
            throw LXCError(.invalidArgument, "the pool \(store.id) was given twice to one host; give each pool once")
        }
        self.stores = stores
    }

    /// The store of guests whose specification names none.
    var standard: any PrimaryStore { stores[0] }

    /// The store of a pool; `nil` if this host does not have the pool.
    subscript(id: PoolID) -> (any PrimaryStore)? { stores.first { $0.id == id } }

    /// Returns the store of a pool; `nil` selects the first.
    ///
    /// - Throws: `LXCError` `notFound`.
    func store(_ id: PoolID?) throws -> any PrimaryStore {
        guard let id else { return standard }
        guard let store = self[id] else {
            throw LXCError(.notFound, "this host has no pool \(id), only \(list); add it to the host's configuration")
        }
        return store
    }

    /// The error of a store that lacks a template, with a hint if another pool has it.
    func explained(_ error: LXCError, _ template: TemplateID, in store: any PrimaryStore) async -> LXCError {
        for other in stores where other.id != store.id {
            guard let contents = try? await other.contents() else { continue }
            let known = contents.templates.map(\.id) + contents.images.map(\.id)
            guard known.contains(template) else { continue }
            return LXCError(
                .notFound,
                "template \(template) is not installed in pool \(store.id), but in pool \(other.id); install it in this one "
                    + "too, or use that one", cause: error)
        }
        return error
    }

    /// The pools, as listed in messages.
    var list: String { stores.map(\.id.description).joined(separator: ", ") }
}

/// A volume or disk and its store.
struct GuestVolume: Sendable {
    let id: VolumeID
    let store: any PrimaryStore
}

/// The metadata this package stores with a guest, and the location of the guest's volume.
struct GuestRecord: Sendable {
    var metadata: ContainerMetadata
    let volume: GuestVolume
}

extension StorePools {
    /// The metadata of a guest whose volume is in one of these pools; `nil` for other guests.
    func record(of domain: Domain) throws -> GuestRecord? {
        guard let metadata = try domain.containerMetadata(), let store = self[metadata.pool] else { return nil }
        return GuestRecord(metadata: metadata, volume: GuestVolume(id: metadata.volume, store: store))
    }

    /// The metadata of a guest; `nil` only for a guest defined by another program.
    ///
    /// - Throws: `LXCError` `invalidState` if its volume is in another pool, where it would neither be leased nor
    ///   deleted.
    func requiredRecord(of domain: Domain, _ kind: GuestKind) throws -> GuestRecord? {
        guard let metadata = try domain.containerMetadata() else { return nil }
        guard let record = try record(of: domain) else {
            throw LXCError(
                .invalidState,
                "\(kind) \(domain.name.escapedForDisplay) has its volume in the pool \(metadata.pool), and this host was "
                    + "opened with \(list); open it with that pool too")
        }
        return record
    }
}
