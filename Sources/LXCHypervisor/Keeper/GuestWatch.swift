// SPDX-License-Identifier: Apache-2.0

public import HypervisorDriver
import LXCCore
import Logging

extension LXCHypervisor {
    /// A report of ``LXCHypervisor/watch(_:)``.
    public enum Observation: Hashable, Sendable {
        /// All present guests: the first report, and again after each renewal, since events may have been missed.
        case guests([Guest])
        /// An event of one guest.
        case event(GuestEvent)
    }

    /// Watches the containers until the task is cancelled. The subscription is renewed whenever it ends, also after the
    /// hypervisor was unreachable; each renewal reports all present guests again.
    ///
    /// - Parameter body: receives the reports, one after the other; later ones wait until it returns.
    public func watch(_ body: (Observation) async -> Void) async {
        await GuestWatch(driver: drivers.containers, kind: .container, logger: logger).run(body)
    }
}

extension LXCHypervisor.Observation {
    /// The guests found running or just started.
    var running: [GuestName] {
        switch self {
        case .guests(let guests): guests.filter(\.state.isActive).map(\.name)
        case .event(let event): event.kind == .started ? [event.guest] : []
        }
    }

    /// The guests found not running or just ended.
    var ended: [GuestName] {
        switch self {
        case .guests(let guests): guests.filter { !$0.state.isActive }.map(\.name)
        case .event(let event): event.kind.isEnd ? [event.guest] : []
        }
    }
}

/// The one subscription to a driver's events.
struct GuestWatch: Sendable {
    private static let pause = Duration.seconds(1)

    let driver: any HypervisorDriver
    let kind: GuestKind
    let logger: Logger

    /// Reports to `body` until the task is cancelled.
    func run(_ body: (LXCHypervisor.Observation) async -> Void) async {
        while !Task.isCancelled {
            do {
                // Listening begins before looking, so that nothing falls between the two.
                let events = try await driver.events()
                await body(.guests(try await driver.guests()))
                for try await event in events { await body(.event(event)) }
            } catch {
                logger.warning("lost sight of the \(kind)s; trying again", metadata: ["error": "\(error)"])
            }
            try? await Task.sleep(for: Self.pause)
        }
    }

    /// Runs the work of the duties until the task is cancelled. Each piece of work is a task of its own, so that a slow
    /// operation on one guest delays no other.
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

/// A reaction to the start or end of guests.
protocol GuestDuty: Sendable {
    /// The work due after a report. Called for one report after the other; the next waits until it returns.
    func work(after observation: LXCHypervisor.Observation) async -> [GuestWork]
}

/// A piece of work on one guest.
struct GuestWork: Sendable {
    let run: @Sendable () async -> Void

    init(_ run: @escaping @Sendable () async -> Void) { self.run = run }
}
