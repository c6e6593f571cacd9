// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging
import PrimaryStore

/// Starts containers that are to run always: who ended without having been stopped is started again, after a wait that grows.
/// And gives back what those held that are forgotten when they end.
actor ContainerRestarts: GuestDuty {
    private let keeper: GuestKeeper
    private let waits: RestartWaits
    /// The running containers that are forgotten when they end.
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

    /// Has a container that runs be started again when it ends, although a program was about to stop it: that one was killed,
    /// because nobody works on the container now.
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

    /// Keeps what a container that is forgotten at its end holds.
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

    /// Gives back the volume of a container that ended and was forgotten, and takes away what is left of it.
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

    /// Starts a container that ended, if it is to run: until it does, or is not to any more.
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
    private nonisolated func isWanted(_ name: GuestName) async throws -> Bool {
        guard let guest = try await keeper.guest(name), !guest.state.isActive,
            let metadata = try await keeper.pools.record(of: driver.definition(of: name))?.metadata
        else { return false }
        return metadata.restart == .always && !metadata.isHeld
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
    let volume: GuestVolume
}
