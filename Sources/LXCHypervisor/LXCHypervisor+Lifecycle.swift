import DomainXML
import HypervisorDriver
import LXCCore
import Logging
import PrimaryStore

extension LXCHypervisor {
    func start(_ name: ContainerName) async throws {
        try await operation("container.start", on: name) {
            let domain = try await driver.definition(of: name)
            guard try await !driver.guest(name).state.isActive else {
                throw LXCError(.invalidState, "container \(name) is running already")
            }
            guard let volume = try volume(of: domain) else {
                try await driver.start(name)  // Defined by another program, which looks after its root.
                return
            }
            _ = try await primary.acquireLease(on: volume, for: hostName)
            do {
                // The store looks at the root again: the container could have changed it since it was cloned.
                _ = try await primary.hostPath(of: volume)
                try await driver.start(name)
            } catch {
                await giveBack(volume, unlessRunning: name)
                throw error
            }
        }
    }

    /// Gives the volume of a container that could not be started back. Not while the container runs, or may run: another
    /// program of this host can have started it meanwhile, and libvirt can have done so although its answer was lost.
    /// In a task of its own, because it must complete in a cancelled one too.
    private func giveBack(_ volume: VolumeID, unlessRunning name: ContainerName) async {
        await Task { [driver, primary, hostName, logger] in
            do {
                guard try await !driver.guest(name).state.isActive else { return }
                try await primary.releaseLease(on: volume, by: hostName)
            } catch {
                logger.warning(
                    "cannot give back the volume of a container that did not start",
                    metadata: ["container": "\(name)", "volume": "\(volume)", "error": "\(error)"])
            }
        }.value
    }

    func stop(_ name: ContainerName, within grace: Duration) async throws -> Container.StopOutcome {
        try await operation("container.stop", on: name) {
            _ = try await volume(of: driver.definition(of: name))
            let outcome = try await end(name, within: grace)
            try await releaseLease(of: name)
            return outcome
        }
    }

    func destroy(_ name: ContainerName) async throws {
        try await operation("container.destroy", on: name) {
            guard let guest = try await guest(name) else { return }
            let domain = try await driver.definition(of: name)
            let volume = try volume(of: domain)
            if guest.state.isActive { try await kill(name) }
            if let volume {
                try await primary.releaseLease(on: volume, by: hostName)
                try await primary.deleteVolume(volume)
            }
            try await vifs.unplug(domain.interfaces)
            // Last: as long as the container is known, a destruction that failed can be finished by another.
            do {
                try await driver.undefine(name)
            } catch let error as LXCError where error.code == .notFound {
                // It was one that libvirt forgets when it ends.
            }
        }
    }

    /// Asks, waits for the event, and kills when it does not come.
    private func end(_ name: ContainerName, within grace: Duration) async throws -> Container.StopOutcome {
        guard try await driver.guest(name).state.isActive else { return .notRunning }
        if driver.capabilities.contains(.shutdown), grace > .zero {
            // Listening begins before asking, so that the end cannot be missed.
            let events = try await driver.events()
            do {
                try await driver.shutdown(name)
            } catch let error as LXCError where error.code == .invalidState {
                // It may have ended by itself just before; what else it is, killing it shows.
                return try await kill(name) ? .forced : .graceful
            }
            if try await Self.ended(name, events, within: grace) { return .graceful }
        }
        return try await kill(name) ? .forced : .graceful
    }

    /// Whether the guest's end was seen in time.
    private static func ended(
        _ name: ContainerName, _ events: AsyncThrowingStream<GuestEvent, any Error>, within grace: Duration
    ) async throws -> Bool {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                for try await event in events where event.guest == name {
                    if event.kind == .stopped || event.kind == .crashed { return true }
                }
                return false
            }
            group.addTask {
                try await Task.sleep(for: grace)
                return false
            }
            defer { group.cancelAll() }
            return try await group.next() ?? false
        }
    }

    /// Kills the guest; says false when it had ended by itself just before.
    @discardableResult
    private func kill(_ name: ContainerName) async throws -> Bool {
        do {
            try await driver.destroy(name)
            return true
        } catch let error as LXCError where error.code == .invalidState {
            return false
        }
    }

    /// Gives the volume of a container that is not running back.
    private func releaseLease(of name: ContainerName) async throws {
        guard let volume = try await volume(of: driver.definition(of: name)) else { return }
        try await primary.releaseLease(on: volume, by: hostName)
    }

    /// The volume of a container; nil for one that another program defined.
    ///
    /// - Throws: `LXCError` `invalidState` when it is in another pool: here it would neither be leased nor deleted.
    private func volume(of domain: Domain) throws -> VolumeID? {
        guard let metadata = try domain.containerMetadata() else { return nil }
        guard metadata.pool == primary.id else {
            throw LXCError(
                .invalidState,
                "container \(domain.name.escapedForDisplay) has its volume in the pool \(metadata.pool), and the primary "
                    + "store here is the pool \(primary.id); open the other one")
        }
        return metadata.volume
    }
}
