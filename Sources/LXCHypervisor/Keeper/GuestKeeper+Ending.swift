// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LibvirtXML

/// How a container is asked to end.
extension GuestKeeper {
    /// Asks, waits for the event, and kills when it does not come. One that is suspended goes on first, because it hears
    /// nothing.
    func end(
        _ name: GuestName, _ metadata: ContainerMetadata?, within grace: Duration
    ) async throws -> LXCHypervisor.StopOutcome {
        guard try await driver.guest(name).state.isActive else { return .notRunning }
        let request = try request(to: name, metadata).map { request in
            { @Sendable [self] in
                try await goOn(name)
                try await request()
            }
        }
        if let request, grace > .zero {
            // Listening begins before asking, so that the end cannot be missed.
            let events = try await driver.events()
            do {
                try await request()
            } catch let error as LXCError where error.code == .invalidState || error.code == .notFound {
                // It may have ended by itself just before; what else it is, killing it shows.
                return try await kill(name) ? .forced : .graceful
            }
            switch try await ending(of: name, events, asking: request, within: grace) {
            case .told: return .graceful
            case .untold:
                _ = try await kill(name)
                return .graceful
            case .refused: break
            }
        }
        return try await kill(name) ? .forced : .graceful
    }

    /// Has a suspended guest go on.
    private func goOn(_ name: GuestName) async throws {
        guard let driver = driver as? any GuestSuspension, try await driver.guest(name).state == .paused else { return }
        do {
            try await driver.resume(name)
        } catch let error as LXCError where error.code == .invalidState {
            // Somebody else was faster, or it has ended.
        }
    }

    /// How the container is asked: by the signal its specification names, else the one its init ends by, else SIGTERM. nil
    /// where the driver cannot ask.
    private func request(
        to name: GuestName, _ metadata: ContainerMetadata?
    ) throws -> (@Sendable () async throws -> Void)? {
        if let driver = driver as? any GuestSignalling {
            let known = metadata?.stopSignal ?? metadata?.initSignal
            let signal = try known.map { try GuestSignal(parsing: $0) } ?? .terminate
            return { try await driver.send(signal, to: name) }
        }
        guard let driver = driver as? any GuestShutdown else { return nil }
        return { try await driver.shutdown(name) }
    }

    /// How a guest that was asked to end took it.
    private enum Ending {
        /// The hypervisor told its end.
        case told
        /// It has ended, and the hypervisor believes it runs: under load libvirt 9 can miss the end of a container.
        case untold
        /// It runs after the time it was given.
        case refused
    }

    /// Waits for the guest's end.
    ///
    /// It is asked again after one second, two, four and so on: the kernel drops a signal that process 1 has no handler
    /// for yet.
    private func ending(
        of name: GuestName, _ events: AsyncThrowingStream<GuestEvent, any Error>,
        asking request: @escaping @Sendable () async throws -> Void, within grace: Duration
    ) async throws -> Ending {
        try await withThrowingTaskGroup(of: Ending.self) { group in
            group.addTask {
                for try await event in events where event.guest == name {
                    if event.kind.isEnd { return .told }
                    // Who suspends it meanwhile does not keep it from ending.
                    if event.kind == .suspended { try? await request() }
                }
                return .refused
            }
            group.addTask {
                try await Task.sleep(for: grace)
                return .refused
            }
            group.addTask {
                var pause = Duration.seconds(1)
                while true {
                    try await Task.sleep(for: pause)
                    pause *= 2
                    do {
                        try await request()
                    } catch let error as LXCError where error.code == .invalidState {
                        // Suspended once more between the two calls, it has not ended.
                        if (try? await self.driver.guest(name).state) != .paused { return .untold }
                    } catch is LXCError {
                        // Whether it could be asked does not count: whether it ends does.
                    }
                }
            }
            defer { group.cancelAll() }
            let ending = try await group.next() ?? .refused
            // The events of a stop that is given up end as well, and mean nothing: the guest is not to be killed.
            if ending == .refused { try Task.checkCancellation() }
            return ending
        }
    }

    /// Returns when the guest is in the state.
    ///
    /// - Throws: `LXCError` `timedOut` when it is not after `limit`.
    func wait(for name: GuestName, toBe state: GuestState, within limit: Duration?) async throws {
        guard let limit else { return try await wait(for: name, toBe: state) }
        guard try await LXCCore.within(limit, { try await self.wait(for: name, toBe: state) }) != nil else {
            throw LXCError(.timedOut, "\(kind) \(name) is not \(state.rawValue) after \(limit)")
        }
    }

    private func wait(for name: GuestName, toBe state: GuestState) async throws {
        let events = try await driver.events()
        if try await isIn(state, name) { return }
        for try await event in events where event.guest == name {
            if try await isIn(state, name) { return }
        }
        throw CancellationError()
    }

    /// A guest that is forgotten when it ends is shut off then.
    private func isIn(_ state: GuestState, _ name: GuestName) async throws -> Bool {
        guard let guest = try await guest(name) else {
            if state == .shutOff { return true }
            throw LXCError(.notFound, "there is no \(kind) \(name)")
        }
        return guest.state == state
    }
}

extension GuestEvent.Kind {
    /// Whether nothing of the guest runs after it.
    var isEnd: Bool { self == .stopped || self == .crashed }
}
