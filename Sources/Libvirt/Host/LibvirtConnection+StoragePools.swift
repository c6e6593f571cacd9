// SPDX-License-Identifier: Apache-2.0

import CLibvirt
public import FoundationEssentials
import LXCCore

/// Storage pools, as far as a host needs them: started, looked at, stopped.
extension LibvirtConnection {
    /// Starts a transient pool (`virStoragePoolCreateXML`), including its backing, such as the mount of a `netfs` pool.
    ///
    /// - Parameters:
    ///   - xml: the pool's document.
    ///   - builds: whether prerequisites, such as the mount point, are made, too.
    /// - Throws: `LXCError` `hypervisor` when libvirt cannot start it, `alreadyExists` when one of the UUID is active.
    public func startStoragePool(xml: String, building builds: Bool = false) async throws {
        try requireNoNUL(xml, "the storage pool document")
        let flags = builds ? VIR_STORAGE_POOL_CREATE_WITH_BUILD.rawValue : 0
        try await perform(.changing) { (raw: virConnectPtr) in
            guard let pool = virStoragePoolCreateXML(raw, xml, flags) else {
                throw LXCError.lastLibvirt("start the storage pool")
            }
            virStoragePoolFree(pool)
        }
    }

    /// Whether there is an active pool of that UUID.
    ///
    /// - Throws: `LXCError` `unavailable`, `hypervisor`.
    public func isStoragePoolActive(_ uuid: UUID) async throws -> Bool {
        try await withStoragePool(uuid) { pool in
            let isActive = virStoragePoolIsActive(pool.raw)
            guard isActive >= 0 else { throw LXCError.lastLibvirt("look at \(pool.shown)") }
            return isActive == 1
        } ?? false
    }

    /// Stops a pool, which unmounts its mount. Does nothing if there is no such pool.
    ///
    /// - Throws: `LXCError` `hypervisor` when libvirt cannot stop it, as when files in it are in use.
    public func stopStoragePool(_ uuid: UUID) async throws {
        _ = try await withStoragePool(uuid, .changing) { pool in
            if virStoragePoolIsActive(pool.raw) == 1, virStoragePoolDestroy(pool.raw) < 0 {
                throw LXCError.lastLibvirt("stop \(pool.shown)")
            }
        }
    }

    /// Makes a volume in an active pool.
    ///
    /// - Throws: `LXCError` `notFound` without the pool, `alreadyExists` when it has a volume of the name,
    ///   `invalidArgument`, `hypervisor` with the output of the program that makes it.
    public func createStorageVolume(xml: String, in pool: UUID) async throws {
        try requireNoNUL(xml, "the storage volume document")
        let isDone: Void? = try await withStoragePool(pool, .changing) { pool in
            guard let volume = virStorageVolCreateXML(pool.raw, xml, 0) else {
                throw LXCError.lastLibvirt("make a volume in \(pool.shown)")
            }
            virStorageVolFree(volume)
        }
        guard isDone != nil else {
            throw LXCError(.notFound, "there is no storage pool \(pool.uuidString.lowercased())")
        }
    }

    /// Runs blocking C calls on a pool; `nil` if there is no pool of that UUID.
    private func withStoragePool<Value: Sendable>(
        _ uuid: UUID, _ call: Call = .reading,
        _ body: @escaping @Sendable (borrowing StoragePoolHandle) throws -> Value
    ) async throws -> Value? {
        try await perform(call) { (raw: virConnectPtr) in
            do {
                return try body(StoragePoolHandle(uuid, on: raw))
            } catch let error as LXCError where error.code == .notFound {
                return nil
            }
        }
    }
}

/// Owns one reference to a storage pool.
private struct StoragePoolHandle: ~Copyable {
    let raw: virStoragePoolPtr
    let shown: String

    init(_ uuid: UUID, on connection: virConnectPtr) throws(LXCError) {
        shown = "the storage pool \(uuid.uuidString.lowercased())"
        guard let raw = virStoragePoolLookupByUUIDString(connection, uuid.uuidString) else {
            throw .lastLibvirt("find \(shown)")
        }
        self.raw = raw
    }

    deinit { virStoragePoolFree(raw) }
}
