// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging
import PrimaryStore

/// The lifecycle of a guest. Every call is part of an operation on it.
extension GuestKeeper {
    func start(_ name: GuestName) async throws {
        let domain = try await driver.definition(of: name)
        guard try await !driver.guest(name).state.isActive else {
            throw LXCError(.invalidState, "\(kind) \(name) is running already")
        }
        guard let record = try record(of: domain) else {
            try await driver.start(name)  // Defined by another program, which looks after its root.
            return
        }
        try await takeLease(on: record.volume, of: name)
        do {
            // The store checks the root again: the container could have changed it since it was cloned.
            _ = try await record.volume.store.hostPath(of: record.volume.id)
            if let map = domain.idMap, !map.hasHostRoot { try await ids.claim(map, for: name, record.volume) }
            try await noteStart(of: domain, name, record)
            try await reconnect(domain, of: name)
            try await driver.start(name)
        } catch {
            await giveBack(record.volume, domain.interfaces, unlessRunning: name)
            throw error
        }
    }

    /// Records with the guest that it is meant to run, and what stopping it requires: the stop signal of the init that
    /// is about to run.
    private func noteStart(of domain: Domain, _ name: GuestName, _ record: GuestRecord) async throws {
        var noted = record.metadata
        noted.isHeld = false
        noted.initSignal = try await initSignal(of: domain, record.volume)
        if noted != record.metadata { try await driver.setContainerMetadata(noted, of: name) }
    }

    /// The signal that makes the init in the container's root shut down; a virtual machine has none.
    func initSignal(of domain: Domain, _ volume: GuestVolume) async throws -> String? {
        guard let path = domain.os.initPath else { return nil }
        return try await InitProgram.stopSignal(path, in: volume.store.root(of: volume.id))?.description
    }

    /// Releases the volume of a guest that could not be started, unless the guest is or may be running: another program
    /// on this host may have started it in the meantime, or libvirt may have started it although its reply was lost.
    /// Runs in its own task, because it must complete even if the caller is cancelled.
    func giveBack(_ volume: GuestVolume, _ interfaces: [Interface], unlessRunning name: GuestName) async {
        await withoutCancellation { [self] in
            do {
                // A transient guest that has ended is no longer known.
                if let guest = try await guest(name), guest.state.isActive { return }
                try await vifs.unplug(interfaces)
                try await giveBackLease(on: volume, of: name)
            } catch {
                logger.warning(
                    "cannot give back the volume of a \(kind) that did not start",
                    metadata: ["container": "\(name)", "volume": "\(volume.id)", "error": "\(error)"])
            }
        }
    }

    func stop(_ name: GuestName, within grace: Duration?) async throws -> LXCHypervisor.StopOutcome {
        let (domain, guest) = (try await driver.definition(of: name), try await driver.guest(name))
        let record = try record(of: domain)
        let outcome = try await holding(name, record?.metadata) {
            try await end(name, record?.metadata, within: grace ?? policy.stopTimeout)
        }
        try await driver.upkeep?.tidy(guest)
        // A transient guest that has ended no longer needs its network filters.
        if guest.isTransient {
            try await release(domain.interfaces)
        } else {
            try await vifs.unplug(domain.interfaces)
        }
        // The guest has ended, even if its store cannot be reached.
        if let record { await giveBackUnlessRunning(record.volume, of: name) }
        return outcome
    }

    /// Runs `end`, which ends the guest, with a record that this is intentional, so that the watcher does not restart
    /// it. If the guest was not ended, it is managed as before.
    private func holding<Value>(
        _ name: GuestName, _ metadata: ContainerMetadata?, _ end: () async throws -> Value
    ) async throws -> Value {
        guard let metadata, metadata.restart != .never, !metadata.isHeld else { return try await end() }
        var held = metadata
        held.isHeld = true
        do {
            try await driver.setContainerMetadata(held, of: name)
            return try await end()
        } catch {
            await withoutCancellation { [self] in
                do {
                    guard try await driver.guest(name).state.isActive else { return }
                    try await driver.setContainerMetadata(metadata, of: name)
                } catch {
                    logger.warning(
                        "cannot take back that a \(kind) is not started again",
                        metadata: ["container": "\(name)", "error": "\(error)"])
                }
            }
            throw error
        }
    }

    /// Stops the guest and starts it again, keeping the volume leased throughout.
    func reboot(_ name: GuestName, within grace: Duration?) async throws -> LXCHypervisor.StopOutcome {
        let (domain, guest) = (try await driver.definition(of: name), try await driver.guest(name))
        guard guest.state.isActive else { throw LXCError(.invalidState, "\(kind) \(name) is not running") }
        let record = try record(of: domain)
        let outcome = try await end(name, record?.metadata, within: grace ?? policy.stopTimeout)
        guard guest.isTransient else {
            try await start(name)
            return outcome
        }
        do {
            if let volume = record?.volume { _ = try await volume.store.hostPath(of: volume.id) }
            try await reconnect(domain, of: name)
            try await driver.transientGuests.startTransient(domain)
        } catch {
            if let record { await giveBack(record.volume, domain.interfaces, unlessRunning: name) }
            throw error
        }
        return outcome
    }

    /// Kills the guest, deletes its volume and undefines it. `body` removes what is specific to its kind once the guest
    /// is gone.
    func delete(
        _ name: GuestName, then body: (GuestRecord?) async throws -> Void = { _ in }
    ) async throws {
        guard let guest = try await guest(name) else { return }
        let domain = try await driver.definition(of: name)
        let record = try record(of: domain)
        if guest.state.isActive { try await holding(name, record?.metadata) { _ = try await kill(name) } }
        if let volume = record?.volume {
            try await giveBackLease(on: volume, of: name)
            try await volume.store.deleteVolume(volume.id)
            await ids.release(domain.idMap, of: volume)
        }
        try await release(domain.interfaces)
        // Last, because a failed deletion can be completed by another as long as the guest is known.
        do {
            try await driver.undefine(name)
        } catch let error as LXCError where error.code == .notFound {
            // The guest was transient.
        }
        try await body(record)
    }

    /// Removes the volume of a guest that could not be defined, and its definition if libvirt stored it and only the
    /// reply was lost. Runs in its own task, because it must complete even if the caller is cancelled.
    func takeBack(_ name: GuestName, _ uuid: UUID, _ volume: GuestVolume, _ lease: VolumeLease?) async {
        await withoutCancellation { [self] in
            do {
                let guest = try? await driver.guest(name)
                // A guest of that name defined by another program has a different UUID.
                if guest?.uuid == uuid { try await driver.undefine(name) }
                if let lease { try await volume.store.releaseLease(lease) }
                try await volume.store.deleteVolume(volume.id)
            } catch {
                logger.warning(
                    "cannot take back a \(kind) that was not created",
                    metadata: ["container": "\(name)", "volume": "\(volume.id)", "error": "\(error)"])
            }
        }
    }

    /// Kills the guest; returns `false` if it had ended by itself just before.
    @discardableResult
    func kill(_ name: GuestName) async throws -> Bool {
        do {
            try await driver.kill(name)
            return true
        } catch let error as LXCError where error.code == .invalidState {
            return false
        } catch let error as LXCError where error.code == .notFound {
            // The guest was transient.
            return false
        }
    }

    /// The metadata this package stores with a guest; `nil` for a guest defined by another program.
    ///
    /// - Throws: `LXCError` `invalidState` if its volume is in a pool this host does not have.
    func record(of domain: Domain) throws -> GuestRecord? { try pools.requiredRecord(of: domain, kind) }
}
