import Foundation
import Glibc
public import LXCCore

extension SharedMountPointStore {
    /// Makes the lease file, which appears whole and for one holder only.
    public func acquireLease(on volume: VolumeID, for holder: String) async throws -> VolumeLease {
        guard !holder.isEmpty else {
            throw LXCError(.invalidArgument, "a lease on volume \(volume) needs its holder's name")
        }
        return try await FileLock.hold(layout.lock(volume), pool: pool) {
            try await requireVolume(volume)
            return try await pool.run { [layout] _ in try layout.acquireLease(on: volume, for: holder) }
        }
    }

    /// Removes the lease file if it is the holder's.
    public func releaseLease(on volume: VolumeID, by holder: String) async throws {
        // Under the lock: between reading and removing the lease, it must not become another holder's.
        try await FileLock.hold(layout.lock(volume), pool: pool) {
            try await pool.run { [layout] _ in
                guard try ControlFile.read(VolumeLease.self, layout.lease(volume))?.holder == holder else { return }
                guard unlink(layout.lease(volume)) == 0 || errno == ENOENT else {
                    throw LXCError.lastSystemCall("unlink", "release the lease of volume \(volume)")
                }
            }
        }
    }
}

extension StoreLayout {
    fileprivate func acquireLease(on volume: VolumeID, for holder: String) throws -> VolumeLease {
        let now = Date(timeIntervalSince1970: Date().timeIntervalSince1970.rounded(.down))
        let wanted = VolumeLease(volume: volume, holder: holder, acquired: now)
        let staged = lease(volume) + "." + RandomName.make()
        try DurableFile.writeNew(ControlFile.encode(wanted), to: staged, mode: 0o600)
        defer { unlink(staged) }
        // link(2) makes the whole lease appear at once, for one of all that try.
        if link(staged, lease(volume)) == 0 {
            try DurableFile.syncDirectory(of: staged)
            return wanted
        }
        guard errno == EEXIST else { throw LXCError.lastSystemCall("link", "lease volume \(volume)") }
        guard let present = try ControlFile.read(VolumeLease.self, lease(volume)) else {
            throw LXCError(.inUse, "volume \(volume) was leased and given back just now; try again")
        }
        guard present.holder == holder else { throw present.conflict }
        return present
    }
}

extension VolumeLease {
    /// The error another holder gets.
    var conflict: LXCError {
        LXCError(.inUse, "volume \(volume) is in use by \(holder.escapedForDisplay) since \(acquired.ISO8601Format())")
    }
}
