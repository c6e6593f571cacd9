import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging
import PrimaryStore

extension LXCHypervisor {
    func start(_ name: GuestName) async throws {
        try await operation("container.start", on: name) { try await startHeld(name) }
    }

    /// Starts a container on which nobody else works now.
    func startHeld(_ name: GuestName) async throws {
        let domain = try await driver.definition(of: name)
        guard try await !driver.guest(name).state.isActive else {
            throw LXCError(.invalidState, "\(kind) \(name) is running already")
        }
        guard let metadata = try metadata(of: domain) else {
            try await driver.start(name)  // Defined by another program, which looks after its root.
            return
        }
        try await takeLease(on: metadata.volume, of: name)
        do {
            // The store looks at the root again: the container could have changed it since it was cloned.
            _ = try await primary.hostPath(of: metadata.volume)
            if let map = domain.idMap, !map.hasHostRoot { try await claim(map, for: name, metadata.volume) }
            try await noteStart(of: domain, name, metadata)
            try await reconnect(domain, of: name)
            try await driver.start(name)
        } catch {
            await giveBack(metadata.volume, domain.interfaces, unlessRunning: name)
            throw error
        }
    }

    /// Keeps with the container what its stop needs to know: the signal of the init that is about to run. And that it is
    /// wanted.
    private func noteStart(
        of domain: Domain, _ name: GuestName, _ metadata: ContainerMetadata
    ) async throws {
        var noted = metadata
        noted.isHeld = false
        noted.initSignal = try await initSignal(of: domain, metadata.volume)
        if noted != metadata { try await driver.setContainerMetadata(noted, of: name) }
    }

    /// The signal by which the init in the container's root ends; a virtual machine has none.
    func initSignal(of domain: Domain, _ volume: VolumeID) async throws -> String? {
        guard let path = domain.os.initPath else { return nil }
        return try await InitProgram.stopSignal(path, in: primary.root(of: volume))?.description
    }

    /// Gives the volume of a container that could not be started back. Not while the container runs, or may run: another
    /// program of this host can have started it meanwhile, and libvirt can have done so although its answer was lost.
    /// In a task of its own, because it must complete in a cancelled one too.
    func giveBack(_ volume: VolumeID, _ interfaces: [Interface], unlessRunning name: GuestName) async {
        await Task {
            do {
                do {
                    guard try await !driver.guest(name).state.isActive else { return }
                } catch let error as LXCError where error.code == .notFound {
                    // It is one that is forgotten when it ends.
                }
                try await vifs.unplug(interfaces)
                try await giveBackLease(on: volume, of: name)
            } catch {
                logger.warning(
                    "cannot give back the volume of a container that did not start",
                    metadata: ["container": "\(name)", "volume": "\(volume)", "error": "\(error)"])
            }
        }.value
    }

    func stop(_ name: GuestName, within grace: Duration?) async throws -> StopOutcome {
        try await operation("container.stop", on: name) {
            let (domain, guest) = (try await driver.definition(of: name), try await driver.guest(name))
            let metadata = try metadata(of: domain)
            let outcome = try await holding(name, metadata) {
                try await end(name, metadata, within: grace ?? policy.stopTimeout)
            }
            try await driver.upkeep?.tidy(guest)
            // One that is forgotten at its end needs its network filters no more.
            if guest.isTransient {
                try await release(domain.interfaces)
            } else {
                try await vifs.unplug(domain.interfaces)
            }
            // It has ended: a store that cannot be reached does not change that.
            if let metadata { await giveBackUnlessRunning(metadata.volume, of: name) }
            return outcome
        }
    }

    /// Runs `end`, which ends the container, with a note that it is ended on purpose: who watches must not start it again.
    /// One that was not ended is looked after as before.
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
            await Task {
                do {
                    guard try await driver.guest(name).state.isActive else { return }
                    try await driver.setContainerMetadata(metadata, of: name)
                } catch {
                    logger.warning(
                        "cannot take back that a container is not started again",
                        metadata: ["container": "\(name)", "error": "\(error)"])
                }
            }.value
            throw error
        }
    }

    /// Ends the container and starts it again, the volume leased all the while.
    func reboot(_ name: GuestName, within grace: Duration?) async throws -> StopOutcome {
        try await operation("container.reboot", on: name) {
            let (domain, guest) = (try await driver.definition(of: name), try await driver.guest(name))
            guard guest.state.isActive else { throw LXCError(.invalidState, "\(kind) \(name) is not running") }
            let metadata = try metadata(of: domain)
            let outcome = try await end(name, metadata, within: grace ?? policy.stopTimeout)
            guard guest.isTransient else {
                try await startHeld(name)
                return outcome
            }
            do {
                if let metadata { _ = try await primary.hostPath(of: metadata.volume) }
                try await reconnect(domain, of: name)
                try await driver.transientGuests.startTransient(domain)
            } catch {
                if let metadata { await giveBack(metadata.volume, domain.interfaces, unlessRunning: name) }
                throw error
            }
            return outcome
        }
    }

    func delete(_ name: GuestName) async throws {
        try await operation("container.destroy", on: name) {
            guard let guest = try await guest(name) else { return }
            let domain = try await driver.definition(of: name)
            let metadata = try metadata(of: domain)
            if guest.state.isActive { try await holding(name, metadata) { _ = try await kill(name) } }
            if let volume = metadata?.volume {
                try await giveBackLease(on: volume, of: name)
                try await primary.deleteVolume(volume)
                await releaseIDs(domain.idMap, of: volume)
            }
            try await release(domain.interfaces)
            // Last: as long as the container is known, a deletion that failed can be finished by another.
            do {
                try await driver.undefine(name)
            } catch let error as LXCError where error.code == .notFound {
                // It was one that libvirt forgets when it ends.
            }
            if metadata?.consoleLog != nil { await removeConsoleLog(of: name) }
        }
    }

    /// Kills the guest; says false when it had ended by itself just before.
    @discardableResult
    func kill(_ name: GuestName) async throws -> Bool {
        do {
            try await driver.kill(name)
            return true
        } catch let error as LXCError where error.code == .invalidState {
            return false
        } catch let error as LXCError where error.code == .notFound {
            // One that is forgotten when it ends.
            return false
        }
    }

    /// What this package keeps with a container; nil for one that another program defined.
    ///
    /// - Throws: `LXCError` `invalidState` when its volume is in another pool: here it would neither be leased nor deleted.
    func metadata(of domain: Domain) throws -> ContainerMetadata? {
        guard let metadata = try domain.containerMetadata() else { return nil }
        guard metadata.pool == primary.id else {
            throw LXCError(
                .invalidState,
                "\(kind) \(domain.name.escapedForDisplay) has its volume in the pool \(metadata.pool), and the primary "
                    + "store here is the pool \(primary.id); open the other one")
        }
        return metadata
    }
}
