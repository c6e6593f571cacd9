// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging
import PrimaryStore
import Synchronization

/// Leases on the volumes of this host's guests. Operations take and release them; only one operation at a time runs on
/// a guest, across all programs of the host.
extension GuestKeeper {
    /// The usage recorded in a guest's lease.
    func use(of name: GuestName) -> String { "\(kind) \(name)" }

    /// Takes the lease on a guest's volume for this host.
    @discardableResult
    func takeLease(on volume: GuestVolume, of name: GuestName) async throws -> VolumeLease {
        try await volume.store.acquireLease(
            on: volume.id, for: hostName, use: use(of: name), lasting: leases.duration)
    }

    /// Releases this host's lease on a guest's volume, unless the guest is running from it, whoever started it, or
    /// another holder takes the lease during the check.
    func giveBackLease(on volume: GuestVolume, of name: GuestName) async throws {
        guard let lease = try await volume.store.lease(on: volume.id), lease.holder == hostName,
            lease.use == nil || lease.use == use(of: name), try await !isRunning(name, from: volume)
        else { return }
        try await volume.store.releaseLease(lease)
    }

    /// Releases the lease in the same way after an operation that succeeded without it or failed anyway: a lease that
    /// remains is released by the service, or listed by ``LXCHypervisor/leftovers(in:)``. Completes even if the caller is
    /// cancelled.
    func giveBackUnlessRunning(_ volume: GuestVolume, of name: GuestName) async {
        await withoutCancellation { [self] in
            do {
                try await giveBackLease(on: volume, of: name)
            } catch {
                logger.warning(
                    "cannot give back a volume",
                    metadata: ["container": "\(name)", "volume": "\(volume.id)", "error": "\(error)"])
            }
        }
    }

    /// Whether a guest is running from a volume; `true` if that cannot be determined.
    private func isRunning(_ name: GuestName, from volume: GuestVolume) async throws -> Bool {
        guard let guest = try await guest(name), guest.state.isActive else { return false }
        do {
            let metadata = try await driver.definition(of: name).containerMetadata()
            return metadata.map { $0.volume == volume.id && $0.pool == volume.store.id } ?? true
        } catch let error as LXCError where error.code == .notFound {
            // The guest was transient and has ended in the meantime.
            return false
        }
    }

    // MARK: Renewing

    /// Renews the leases of running guests until the task is cancelled. A renewal that hangs does not delay the others.
    func lookAfterLeases() async {
        let renewals = Renewals()
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                for name in await runningGuests() {
                    guard renewals.begin(name) else {
                        logger.warning(
                            "the last renewal of a lease has not ended; not beginning another",
                            metadata: ["container": "\(name)"])
                        continue
                    }
                    group.addTask {
                        await self.renewLease(of: name, lasting: self.leases.duration)
                        renewals.end(name)
                    }
                }
                try? await Task.sleep(for: leases.interval)
            }
        }
    }

    /// Renews the leases of all running guests once, concurrently.
    func renewLeases(lasting duration: Duration?) async {
        await withDiscardingTaskGroup { group in
            for name in await runningGuests() {
                group.addTask { await self.renewLease(of: name, lasting: duration) }
            }
        }
    }

    private func runningGuests() async -> [GuestName] {
        do {
            return try await driver.guests().filter(\.state.isActive).map(\.name)
        } catch {
            logger.warning("cannot renew leases; trying again", metadata: ["error": "\(error)"])
            return []
        }
    }

    /// Renews the lease of a guest outside the mutually exclusive operations on it, because a stop may take longer than
    /// a lease lasts. Only a missing lease is taken in such an operation.
    func renewLease(of name: GuestName, lasting duration: Duration?) async {
        do {
            guard let volume = try await pools.record(of: driver.definition(of: name))?.volume else { return }
            do {
                try await volume.store.renewLease(on: volume.id, for: hostName, lasting: duration)
            } catch let error as LXCError where error.code == .notFound {
                try await takeMissingLease(of: name)
            }
        } catch let error as LXCError where error.code == .inUse {
            // The lease of a guest that is no longer running has been released.
            guard (try? await driver.guest(name).state.isActive) ?? true else { return }
            await report(error, of: name)
        } catch let error as LXCError where error.code == .notFound {
            // A transient guest that has ended needs no lease.
        } catch {
            logger.warning(
                "cannot renew a lease; trying again", metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }

    /// Takes the lease of a guest that is running without one, because libvirt started it by itself or someone broke
    /// the lease. If another operation on the guest is in progress, it takes precedence and the next round checks
    /// again.
    private func takeMissingLease(of name: GuestName) async throws {
        try await operation("\(kind.operations).lease", on: name, waiting: .seconds(2)) {
            guard let guest = try await guest(name), guest.state.isActive else { return }
            guard let volume = try await pools.record(of: driver.definition(of: name))?.volume else { return }
            let present = try await volume.store.lease(on: volume.id)
            try await takeLease(on: volume, of: name)
            if present == nil {
                logger.notice(
                    "took the missing lease of a running \(kind)",
                    metadata: ["container": "\(name)", "volume": "\(volume.id)"])
            }
        }
    }

    private func report(_ loss: LXCError, of name: GuestName) async {
        logger.error(
            "a running \(kind) has lost its volume's lease",
            metadata: ["container": "\(name)", "error": "\(loss)"])
        await leases.onLoss(name, loss)
    }
}

/// The guests whose leases are being renewed.
private final class Renewals: Sendable {
    private let names = Mutex<Set<GuestName>>([])

    func begin(_ name: GuestName) -> Bool { names.withLock { $0.insert(name).inserted } }

    func end(_ name: GuestName) { names.withLock { _ = $0.remove(name) } }
}
