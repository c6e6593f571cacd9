// SPDX-License-Identifier: Apache-2.0

public import HypervisorDriver
public import LXCCore
import LibvirtXML
public import PrimaryStore

extension LXCHypervisor {
    /// Mounts pools as CloudStack does: as a libvirt `netfs` storage pool named by the pool's UUID, at `/mnt/<uuid>`.
    public struct LibvirtMounter: HostMounter {
        private let driver: any LibvirtDriver
        private let daemon: PrivateLibvirtd?

        /// Creates a mounter.
        ///
        /// - Parameters:
        ///   - driver: the libvirt driver to use.
        ///   - daemon: the private daemon behind the driver, if it is one: only that daemon sees what it mounts.
        public init(_ driver: any LibvirtDriver, daemon: PrivateLibvirtd? = nil) {
            self.driver = driver
            self.daemon = daemon
        }

        /// Starts the storage pool.
        public func mount(_ export: NFSExport, for pool: PoolID) async throws -> HostMount {
            var document = NFSStoragePool(
                uuid: pool.uuid, server: export.server, export: export.path, version: export.version)
            document.mountOptions += export.port.map { ["port=\($0)"] } ?? []
            document.mountOptions += export.mountPort.map { ["mountport=\($0)"] } ?? []
            try await driver.activate(document)
            return HostMount(directory: document.target, process: try daemon?.processID())
        }

        /// Stops the storage pool.
        public func unmount(_ export: NFSExport, for pool: PoolID) async throws {
            try await driver.deactivateStoragePool(pool.uuid)
        }
    }
}
