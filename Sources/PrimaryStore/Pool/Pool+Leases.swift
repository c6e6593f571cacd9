// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import Logging
import StoreFiles

/// The users of volumes: one file each, read and written under the volume's lock, so that it cannot change hands
/// between reading and writing.
extension Pool {
    /// The lease on a volume, even if it has expired; nil if there is none.
    func lease(on volume: VolumeID) async throws -> VolumeLease? {
        try await ControlFile.read(VolumeLease.self, StoreLayout.lease(volume), in: files)
    }

    /// Leases are of a few hundred bytes.
    private static let leaseLimit = 1 << 20

    /// All leases, ordered by volume. An unreadable one is omitted and logged.
    func leases() async throws -> [VolumeLease] {
        let read = try await files.readAll(in: StoreLayout.leases, limit: Self.leaseLimit) { $0.hasSuffix(".json") }
        var leases: [VolumeLease] = []
        for (name, bytes) in read {
            guard let id = try? VolumeID(parsing: String(name.prefix(36))), name == "\(id).json" else { continue }
            do {
                leases.append(try ControlFile.decode(VolumeLease.self, bytes.get(), StoreLayout.lease(id), files))
            } catch let error as LXCError where !error.saysNothingOfAFile {
                logger.warning("cannot read a lease", metadata: ["pool": "\(self.id)", "error": "\(error)"])
            }
        }
        return leases.sorted { "\($0.volume)" < "\($1.volume)" }
    }

    /// Writes the lease.
    func acquireLease(
        on volume: VolumeID, for holder: String, use: String?, lasting duration: Duration?
    ) async throws -> VolumeLease {
        try await hold(volume) { lock in
            try await requireVolume(volume)
            let present = try await lease(on: volume)
            let lease = try await VolumeLease.succeeding(
                present, on: volume, for: holder, use: use, now: files.now(), lasting: duration)
            try await write(lease, under: lock)
            return lease
        }
    }

    /// Writes a lease anew that is there.
    func renewLease(
        on volume: VolumeID, for holder: String, lasting duration: Duration?
    ) async throws -> VolumeLease {
        try await hold(volume) { lock in
            guard let present = try await lease(on: volume) else { throw VolumeLease.missing(on: volume, for: holder) }
            let lease = try await present.renewed(by: holder, now: files.now(), lasting: duration)
            if lease != present { try await write(lease, under: lock) }
            return lease
        }
    }

    private func write(_ lease: VolumeLease, under lock: StoreLock) async throws {
        try await put(ControlFile.encode(lease), at: StoreLayout.lease(lease.volume), of: lease.volume, under: [lock])
    }

    /// Removes the lease file if it still has the lease that was taken, renewed or not.
    func releaseLease(_ lease: VolumeLease) async throws {
        try await holdToFree(lease.volume) { lock in
            guard let present = try await self.lease(on: lease.volume), present.isSame(as: lease) else { return }
            try await lock.confirm()
            try await files.remove(StoreLayout.lease(lease.volume))
        }
    }

    /// Removes the lease file, whosever it is and whatever is in it.
    func breakLease(on volume: VolumeID) async throws -> Bool {
        try await holdToFree(volume) { lock in
            let lease = try? await lease(on: volume)
            try await lock.confirm()
            guard try await files.remove(StoreLayout.lease(volume)) else { return false }
            logger.warning(
                "broke a lease",
                metadata: [
                    "pool": "\(id)", "volume": "\(volume)",
                    "holder": "\(lease?.holder.escapedForDisplay ?? "unreadable")",
                    "use": "\(lease?.use?.escapedForDisplay ?? "unknown")",
                ])
            return true
        }
    }
}
