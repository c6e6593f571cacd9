import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging
import PrimaryStore

/// Containers that are to run always: who ended without having been stopped is started again, after a wait that grows.
extension LXCHypervisor {
    /// Watches until the task is cancelled.
    func superviseRestarts() async {
        let waits = RestartWaits(policy.backOff)
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                do {
                    // Listening begins before looking, so that no end falls between the two.
                    let events = try await driver.events()
                    var forgetful: [GuestName: Forgetful] = [:]
                    for guest in try await driver.guests() {
                        if guest.state.isActive {
                            await remember(guest.name, in: &forgetful)
                            group.addTask { await self.takeBackHold(of: guest.name) }
                        } else {
                            group.addTask { await self.keepRunning(guest.name, waits) }
                        }
                    }
                    for try await event in events {
                        if event.kind == .started {
                            await waits.started(event.guest)
                            await remember(event.guest, in: &forgetful)
                        }
                        if event.kind.isEnd {
                            let forgotten = forgetful.removeValue(forKey: event.guest)
                            group.addTask {
                                if let forgotten { await self.settle(forgotten) }
                                await self.keepRunning(event.guest, waits)
                            }
                        }
                    }
                } catch {
                    logger.warning("lost sight of the containers; trying again", metadata: ["error": "\(error)"])
                }
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    /// Has a container that runs be started again when it ends, although a program was about to stop it: that one was killed,
    /// because nobody works on the container now.
    private func takeBackHold(of name: GuestName) async {
        do {
            guard try await isHeldAndRuns(name) else { return }
            try await operation("container.settle", on: name, waiting: .zero) {
                guard try await isHeldAndRuns(name),
                    var metadata = try await driver.definition(of: name).containerMetadata()
                else { return }
                metadata.isHeld = false
                try await driver.setContainerMetadata(metadata, of: name)
            }
        } catch {
            logger.debug("cannot take back a stop", metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }

    private func isHeldAndRuns(_ name: GuestName) async throws -> Bool {
        guard let guest = try await guest(name), guest.state.isActive,
            let metadata = try await driver.definition(of: name).containerMetadata()
        else { return false }
        return metadata.pool == primary.id && metadata.restart == .always && metadata.isHeld
    }

    /// Keeps what a container that is forgotten at its end holds.
    private func remember(_ name: GuestName, in forgetful: inout [GuestName: Forgetful]) async {
        do {
            let guest = try await driver.guest(name)
            guard guest.isTransient else { return }
            forgetful[name] = try await driver.definition(of: name).containerMetadata().map {
                Forgetful(guest: guest, metadata: $0)
            }
        } catch {
            logger.debug("cannot look at a container", metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }

    /// Gives back the volume of a container that ended and was forgotten, and takes away what is left of it.
    private func settle(_ forgotten: Forgetful) async {
        let (name, metadata) = (forgotten.guest.name, forgotten.metadata)
        guard metadata.pool == primary.id else { return }
        do {
            try await operation("container.settle", on: name) {
                guard try await guest(name) == nil else { return }
                try await driver.tidy(forgotten.guest)
                try await giveBackLease(on: metadata.volume, of: name)
            }
        } catch {
            logger.warning("cannot settle", metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }

    /// Starts a container that ended, if it is to run: until it does, or is not to any more.
    private func keepRunning(_ name: GuestName, _ waits: RestartWaits) async {
        do {
            guard try await isWanted(name) else { return }
            while !Task.isCancelled {
                try await Task.sleep(for: waits.next(for: name))
                do {
                    let isStarted = try await operation("container.restart", on: name) {
                        guard try await isWanted(name) else { return false }
                        try await startHeld(name)
                        return true
                    }
                    if isStarted { logger.info("container started again", metadata: ["container": "\(name)"]) }
                    return
                } catch let error as LXCError {
                    // Whatever it is, it can pass. Whether it is still to run, and does not, is asked the next time.
                    logger.warning(
                        "cannot start a container again", metadata: ["container": "\(name)", "error": "\(error)"])
                }
            }
        } catch is CancellationError {
            return
        } catch {
            logger.warning("cannot keep a container running", metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }

    /// Whether a container does not run, and should.
    private func isWanted(_ name: GuestName) async throws -> Bool {
        guard let guest = try await guest(name), !guest.state.isActive else { return false }
        guard let metadata = try await driver.definition(of: name).containerMetadata() else { return false }
        return metadata.pool == primary.id && metadata.restart == .always && !metadata.isHeld
    }
}

/// How long each container waits for its next start.
actor RestartWaits {
    private let policy: LXCHypervisor.Policy.BackOff
    private var waits: [GuestName: Duration] = [:]
    private var starts: [GuestName: ContinuousClock.Instant] = [:]

    init(_ policy: LXCHypervisor.Policy.BackOff) { self.policy = policy }

    func started(_ name: GuestName, at now: ContinuousClock.Instant = .now) { starts[name] = now }

    /// The wait before the next start: twice the last one, or the first again after a long run.
    func next(for name: GuestName, at now: ContinuousClock.Instant = .now) -> Duration {
        let ranLong = starts.removeValue(forKey: name).map { now - $0 > policy.maximum } ?? false
        let wait = ranLong ? policy.initial : waits[name] ?? policy.initial
        waits[name] = min(wait * 2, policy.maximum)
        return wait
    }
}

/// A container that is forgotten when it ends.
private struct Forgetful {
    let guest: Guest
    let metadata: ContainerMetadata
}
