// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging
import PrimaryStore
import Synchronization

/// Leases on the volumes of this host's guests. They are taken and given back by operations, of which one at a time is on a
/// guest, among all programs of the host.
extension GuestKeeper {
    /// What a guest's lease says that the volume is used for.
    func use(of name: GuestName) -> String { "\(kind) \(name)" }

    /// Takes a guest's volume for this host.
    @discardableResult
    func takeLease(on volume: GuestVolume, of name: GuestName) async throws -> VolumeLease {
        try await volume.store.acquireLease(
            on: volume.id, for: hostName, use: use(of: name), lasting: leases.duration)
    }

    /// Gives back the lease this host has on a guest's volume. Not while the guest runs from it, whoever started it; not one
    /// that is taken by somebody else while this looks.
    func giveBackLease(on volume: GuestVolume, of name: GuestName) async throws {
        guard let lease = try await volume.store.lease(on: volume.id), lease.holder == hostName,
            lease.use == nil || lease.use == use(of: name), try await !isRunning(name, from: volume)
        else { return }
        try await volume.store.releaseLease(lease)
    }

    /// The same after an operation that succeeded without it, or failed anyhow: what stays is given back by the service, or
    /// found by ``LXCHypervisor/leftovers(in:)``. In a task of its own, because it must complete in a cancelled one too.
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

    /// Whether a guest runs from a volume; a guest of which that cannot be told does.
    private func isRunning(_ name: GuestName, from volume: GuestVolume) async throws -> Bool {
        guard let guest = try await guest(name), guest.state.isActive else { return false }
        do {
            let metadata = try await driver.definition(of: name).containerMetadata()
            return metadata.map { $0.volume == volume.id && $0.pool == volume.store.id } ?? true
        } catch let error as LXCError where error.code == .notFound {
            // It ended meanwhile, and was forgotten.
            return false
        }
    }

    // MARK: Renewing

    /// Renews the leases of what runs, until the task is cancelled. One that hangs keeps no other waiting.
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

    /// Renews the leases of what runs once, all side by side.
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

    /// Not one of the operations that exclude each other on a container: a stop may take longer than a lease lasts. Only a
    /// lease that is missing is taken in one.
    func renewLease(of name: GuestName, lasting duration: Duration?) async {
        do {
            guard let volume = try await pools.record(of: driver.definition(of: name))?.volume else { return }
            do {
                try await volume.store.renewLease(on: volume.id, for: hostName, lasting: duration)
            } catch let error as LXCError where error.code == .notFound {
                try await takeMissingLease(of: name)
            }
        } catch let error as LXCError where error.code == .inUse {
            // What is not running any more was given back.
            guard (try? await driver.guest(name).state.isActive) ?? true else { return }
            await report(error, of: name)
        } catch let error as LXCError where error.code == .notFound {
            // A guest that ended and was forgotten needs no lease.
        } catch {
            logger.warning(
                "cannot renew a lease; trying again", metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }

    /// Takes the volume of a guest that runs without a lease: libvirt started it by itself, or somebody broke the lease.
    /// While another operation on it is under way, that one has the say; the next round looks again.
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

/// Which guests' leases are being renewed.
private final class Renewals: Sendable {
    private let names = Mutex<Set<GuestName>>([])

    func begin(_ name: GuestName) -> Bool { names.withLock { $0.insert(name).inserted } }

    func end(_ name: GuestName) { names.withLock { _ = $0.remove(name) } }
}
