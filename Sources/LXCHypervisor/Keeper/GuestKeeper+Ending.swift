// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LibvirtXML

/// Shutting down guests.
extension GuestKeeper {
    /// Requests a shutdown, waits for the event, and kills the guest if it does not arrive. A suspended guest is
    /// resumed first, because it cannot receive the request.
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
            // Subscribes before sending the request, so that the end cannot be missed.
            let events = try await driver.events()
            do {
                try await request()
            } catch let error as LXCError where error.code == .invalidState || error.code == .notFound {
                // The guest may have ended by itself just before; killing it reveals any other state.
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

    /// Resumes a suspended guest.
    private func goOn(_ name: GuestName) async throws {
        guard let driver = driver as? any GuestSuspension, try await driver.guest(name).state == .paused else { return }
        do {
            try await driver.resume(name)
        } catch let error as LXCError where error.code == .invalidState {
            // Another caller resumed it first, or it has ended.
        }
    }

    /// The shutdown request for the container: the signal its specification names, otherwise the one its init ends on,
    /// otherwise SIGTERM. `nil` if the driver cannot send a request.
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

    /// The result of a shutdown request.
    private enum Ending {
        /// The hypervisor reported the end.
        case told
        /// The guest has ended but the hypervisor believes it is running: under load, libvirt 9 can miss the end of a
        /// container.
        case untold
        /// The guest is still running after the grace period.
        case refused
    }

    /// Waits for the guest to end.
    ///
    /// The request is repeated after one second, two, four and so on, because the kernel drops signals for which
    /// process 1 has not installed a handler yet.
    private func ending(
        of name: GuestName, _ events: AsyncThrowingStream<GuestEvent, any Error>,
        asking request: @escaping @Sendable () async throws -> Void, within grace: Duration
    ) async throws -> Ending {
        try await withThrowingTaskGroup(of: Ending.self) { group in
            group.addTask {
                for try await event in events where event.guest == name {
                    if event.kind.isEnd { return .told }
                    // Suspending the guest in the meantime must not keep it from ending.
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
                        // If the guest was suspended again between the two calls, it has not ended.
                        if (try? await self.driver.guest(name).state) != .paused { return .untold }
                    } catch is LXCError {
                        // It does not matter if the request could be sent, only if the guest ends.
                    }
                }
            }
            defer { group.cancelAll() }
            let ending = try await group.next() ?? .refused
            // A cancelled stop also ends the event stream, which means nothing: the guest must not be killed.
            if ending == .refused { try Task.checkCancellation() }
            return ending
        }
    }

    /// Waits until the guest is in the given state.
    ///
    /// - Throws: `LXCError` `timedOut` if it is not in that state after `limit`.
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

    /// Whether the guest is in the given state; a transient guest that has ended counts as shut off.
    private func isIn(_ state: GuestState, _ name: GuestName) async throws -> Bool {
        guard let guest = try await guest(name) else {
            if state == .shutOff { return true }
            throw LXCError(.notFound, "there is no \(kind) \(name)")
        }
        return guest.state == state
    }
}

extension GuestEvent.Kind {
    /// Whether the guest has ended after this event.
    var isEnd: Bool { self == .stopped || self == .crashed }
}
