// SPDX-License-Identifier: Apache-2.0

public import HypervisorDriver
import LXCCore
import Logging

extension LXCHypervisor {
    /// An observation reported by ``LXCHypervisor/watch(_:)``.
    public enum Observation: Hashable, Sendable {
        /// The existing guests, when watching begins and when it resumes after events may have been missed.
        case guests([Guest])
        /// An event of one guest.
        case event(GuestEvent)
    }

    /// Watches the containers until the task is cancelled: the subscription is renewed whenever it ends, including
    /// after the hypervisor was unreachable. The existing guests are reported again after each renewal.
    ///
    /// - Parameter body: receives the observations one at a time; later ones wait until it returns.
    public func watch(_ body: (Observation) async -> Void) async {
        await GuestWatch(driver: drivers.containers, kind: .container, logger: logger).run(body)
    }
}

extension LXCHypervisor.Observation {
    /// The guests that were found running or have just started.
    var running: [GuestName] {
        switch self {
        case .guests(let guests): guests.filter(\.state.isActive).map(\.name)
        case .event(let event): event.kind == .started ? [event.guest] : []
        }
    }

    /// The guests that were found not running or have just ended.
    var ended: [GuestName] {
        switch self {
        case .guests(let guests): guests.filter { !$0.state.isActive }.map(\.name)
        case .event(let event): event.kind.isEnd ? [event.guest] : []
        }
    }
}

/// The single subscription to a driver's events.
struct GuestWatch: Sendable {
    private static let pause = Duration.seconds(1)

    let driver: any HypervisorDriver
    let kind: GuestKind
    let logger: Logger

    /// Reports observations until the task is cancelled.
    func run(_ body: (LXCHypervisor.Observation) async -> Void) async {
        while !Task.isCancelled {
            do {
                // Subscribes before listing the guests, so that no event is missed in between.
                let events = try await driver.events()
                await body(.guests(try await driver.guests()))
                for try await event in events { await body(.event(event)) }
            } catch {
                logger.warning("lost sight of the \(kind)s; trying again", metadata: ["error": "\(error)"])
            }
            try? await Task.sleep(for: Self.pause)
        }
    }

    /// Performs the work the duties request until the task is cancelled. Each piece of work runs in its own task, so
    /// that a long operation on one guest does not delay the others.
    func run(_ duties: [any GuestDuty]) async {
        await withDiscardingTaskGroup { group in
            await run { observation in
                for duty in duties {
                    for work in await duty.work(after: observation) { group.addTask { await work.run() } }
                }
            }
        }
    }
}

/// A duty performed whenever a guest starts or ends.
protocol GuestDuty: Sendable {
    /// Returns the work that follows from an observation. Called for one observation at a time; the next is not
    /// processed until it returns.
    func work(after observation: LXCHypervisor.Observation) async -> [GuestWork]
}

/// A piece of work on one guest.
struct GuestWork: Sendable {
    let run: @Sendable () async -> Void

    init(_ run: @escaping @Sendable () async -> Void) { self.run = run }
}
