// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
import Libvirt
public import LibvirtXML

/// Primary stores on NFS have the kernel's mount through libvirt, as CloudStack's have.
extension LibvirtDriver {
    /// Mounts a directory of an NFS server on the host, unless the pool is active already.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming a field that cannot be written, `hypervisor` with what mount(8) says.
    public func activate(_ pool: NFSStoragePool) async throws {
        if try await connection.isStoragePoolActive(pool.uuid) { return }
        do {
            try await connection.startStoragePool(xml: pool.xml(), building: true)
        } catch {
            // Another process of the host may have been first.
            guard try await connection.isStoragePoolActive(pool.uuid) else { throw error }
        }
    }

    /// Unmounts what ``activate(_:)`` mounted. Succeeds if the pool is not active.
    ///
    /// - Throws: `LXCError` `hypervisor` while files in it are in use.
    public func deactivateStoragePool(_ uuid: UUID) async throws { try await connection.stopStoragePool(uuid) }
}
