// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging
import PrimaryStore

/// Restarts containers whose policy is to run always: a container that ended without having been stopped is started
/// again after an increasing delay. Also releases what transient containers held when they end.
actor ContainerRestarts: GuestDuty {
    private let keeper: GuestKeeper
    private let waits: RestartWaits
    /// The running transient containers.
    private var forgetful: [GuestName: Forgetful] = [:]

    init(_ keeper: GuestKeeper) {
        self.keeper = keeper
        waits = RestartWaits(keeper.policy.backOff)
    }

    private nonisolated var driver: any HypervisorDriver { keeper.driver }
    private nonisolated var logger: Logger { keeper.logger }

    func work(after observation: LXCHypervisor.Observation) async -> [GuestWork] {
        switch observation {
        case .guests:
            forgetful = [:]
            for name in observation.running { await remember(name) }
            return observation.running.map { name in GuestWork { await self.takeBackHold(of: name) } }
                + observation.ended.map { name in GuestWork { await self.keepRunning(name) } }
        case .event(let event) where event.kind == .started:
            await waits.started(event.guest)
            await remember(event.guest)
            return []
        case .event(let event) where event.kind.isEnd:
            let forgotten = forgetful.removeValue(forKey: event.guest)
            return [
                GuestWork {
                    if let forgotten { await self.settle(forgotten) }
                    await self.keepRunning(event.guest)
                }
            ]
        case .event: return []
        }
    }

    /// Re-enables restarting of a running container that a program was about to stop: no operation on the container is
    /// in progress, so that program was killed.
    private nonisolated func takeBackHold(of name: GuestName) async {
        do {
            guard try await isHeldAndRuns(name) else { return }
            try await keeper.operation("container.settle", on: name, waiting: .zero) {
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

    private nonisolated func isHeldAndRuns(_ name: GuestName) async throws -> Bool {
        guard let guest = try await keeper.guest(name), guest.state.isActive,
            let metadata = try await keeper.pools.record(of: driver.definition(of: name))?.metadata
        else { return false }
        return metadata.restart == .always && metadata.isHeld
    }

    /// Remembers what a transient container holds.
    private func remember(_ name: GuestName) async {
        do {
            let guest = try await driver.guest(name)
            guard guest.isTransient else { return }
            forgetful[name] = try await keeper.pools.record(of: driver.definition(of: name)).map {
                Forgetful(guest: guest, volume: $0.volume)
            }
        } catch {
            logger.debug("cannot look at a container", metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }

    /// Releases the volume of a transient container that has ended, and removes what is left of it.
    private nonisolated func settle(_ forgotten: Forgetful) async {
        let name = forgotten.guest.name
        do {
            try await keeper.operation("container.settle", on: name) {
                guard try await keeper.guest(name) == nil else { return }
                try await driver.upkeep?.tidy(forgotten.guest)
                try await keeper.giveBackLease(on: forgotten.volume, of: name)
            }
        } catch {
            logger.warning(
                "cannot give back what a container that ended holds",
                metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }

    /// Starts a container that has ended and is meant to run, retrying until it is running or no longer meant to run.
    private nonisolated func keepRunning(_ name: GuestName) async {
        do {
            guard try await isWanted(name) else { return }
            while !Task.isCancelled {
                try await Task.sleep(for: waits.next(for: name))
                do {
                    let isStarted = try await keeper.operation("container.restart", on: name) {
                        guard try await isWanted(name) else { return false }
                        try await keeper.start(name)
                        return true
                    }
                    if isStarted { logger.info("container started again", metadata: ["container": "\(name)"]) }
                    return
                } catch let error as LXCError {
                    // Any error may be temporary. The next round checks if the container is still meant to run and is
                    // not running.
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

    /// Whether a container is not running but should be.
    private nonisolated func isWanted(_ name: GuestName) async throws -> Bool {
        guard let guest = try await keeper.guest(name), !guest.state.isActive,
            let metadata = try await keeper.pools.record(of: driver.definition(of: name))?.metadata
        else { return false }
        return metadata.restart == .always && !metadata.isHeld
    }
}

/// The restart delays of the containers.
actor RestartWaits {
    private let policy: LXCHypervisor.Policy.BackOff
    private var waits: [GuestName: Duration] = [:]
    private var starts: [GuestName: ContinuousClock.Instant] = [:]

    init(_ policy: LXCHypervisor.Policy.BackOff) { self.policy = policy }

    func started(_ name: GuestName, at now: ContinuousClock.Instant = .now) { starts[name] = now }

    /// The delay before the next start: twice the last one, or the initial one again after a long run.
    func next(for name: GuestName, at now: ContinuousClock.Instant = .now) -> Duration {
        let ranLong = starts.removeValue(forKey: name).map { now - $0 > policy.maximum } ?? false
        let wait = ranLong ? policy.initial : waits[name] ?? policy.initial
        waits[name] = min(wait * 2, policy.maximum)
        return wait
    }
}

/// A transient container.
private struct Forgetful {
    let guest: Guest
    let volume: GuestVolume
}
