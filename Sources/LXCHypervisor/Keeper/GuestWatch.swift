public import HypervisorDriver
import LXCCore
import Logging

extension LXCHypervisor {
    /// What ``LXCHypervisor/watch(_:)`` sees of the containers.
    public enum Sight: Hashable, Sendable {
        /// The guests there are, when watching begins, and when it begins anew after something may have been missed.
        case guests([Guest])
        /// What has happened to one.
        case event(GuestEvent)
    }

    /// Watches the containers until the task is cancelled: the subscription is renewed whenever it ends, also after the
    /// hypervisor could not be reached. After each renewal the guests there are are seen again.
    ///
    /// - Parameter body: is told what is seen, one after the other. What comes meanwhile waits.
    public func watch(_ body: (Sight) async -> Void) async {
        await GuestWatch(driver: drivers.containers, kind: .container, logger: logger).run(body)
    }
}

extension LXCHypervisor.Sight {
    /// The guests that were found running, or have just been started.
    var running: [GuestName] {
        switch self {
        case .guests(let guests): guests.filter(\.state.isActive).map(\.name)
        case .event(let event): event.kind == .started ? [event.guest] : []
        }
    }

    /// The guests that were found not running, or have just ended.
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

    /// Tells what is seen until the task is cancelled.
    func run(_ body: (LXCHypervisor.Sight) async -> Void) async {
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

    /// Does what the duties ask for until the task is cancelled. Each piece of work is a task of its own: another operation
    /// on a guest may take its time, and keeps no other guest waiting.
    func run(_ duties: [any GuestDuty]) async {
        await withDiscardingTaskGroup { group in
            await run { sight in
                for duty in duties {
                    for work in await duty.work(after: sight) { group.addTask { await work.run() } }
                }
            }
        }
    }
}

/// Something that is done whenever a guest starts or ends.
protocol GuestDuty: Sendable {
    /// What there is to do after what was seen. Called for one sight after the other; nothing else is seen until it returns.
    func work(after sight: LXCHypervisor.Sight) async -> [GuestWork]
}

/// A piece of work on one guest.
struct GuestWork: Sendable {
    let run: @Sendable () async -> Void

    init(_ run: @escaping @Sendable () async -> Void) { self.run = run }
}
