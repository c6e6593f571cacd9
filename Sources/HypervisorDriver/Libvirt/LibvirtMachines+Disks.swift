// SPDX-License-Identifier: Apache-2.0

import LXCCore
import Libvirt
public import LibvirtXML
import Logging

extension LibvirtMachines: DiskMaking {
    /// Has libvirt make the file, in a storage pool that is there for as long as this takes: qemu-img(1), which libvirt
    /// runs, comes from the package qemu-utils.
    public func createDisk(_ volume: StorageVolume, in pool: DirectoryStoragePool) async throws {
        // One a killed program left.
        try await connection.stopStoragePool(pool.uuid)
        try await connection.startStoragePool(xml: pool.xml())
        let result: Result<Void, any Error>
        do {
            result = .success(try await connection.createStorageVolume(xml: volume.xml(), in: pool.uuid))
        } catch {
            result = .failure(error)
        }
        await withoutCancellation { [connection, logger] in
            do {
                try await connection.stopStoragePool(pool.uuid)
            } catch {
                logger.warning("cannot stop a storage pool", metadata: ["pool": "\(pool.uuid)", "error": "\(error)"])
            }
        }
        try result.get()
    }
}
