// SPDX-License-Identifier: Apache-2.0

import HostAgentPlan
import LXCHypervisor
import Logging
import ServiceLifecycle
import UnixSignals

/// Compares the declaration with the present state, lets the plan decide, and carries it out: containers concurrently,
/// the steps of one in order.
actor Agent: Service {
    struct Options: Sendable {
        var interval: Duration
        var stopsContainers: Bool
    }

    let host: LXCHypervisor
    let plan: Plan
    let logger: Logger
    private let file: DeclarationFile
    private let options: Options
    private let hangups: UnixSignalsSequence
    private let looks: AsyncStream<Void>
    /// Requests another look at everything. Requests during a look are combined into one afterwards.
    private let look: AsyncStream<Void>.Continuation

    private var stamp: DeclarationFile.Stamp?
    private var declared: Declaration
    private var busy: Set<GuestName> = []
    private var retries = Retries()
    private var obstacles: [GuestName: String] = [:]

    init(
        host: LXCHypervisor, file: DeclarationFile, _ stamp: DeclarationFile.Stamp, _ declared: Declaration, plan: Plan,
        options: Options, hangups: UnixSignalsSequence, logger: Logger
    ) {
        self.host = host
        self.file = file
        self.stamp = stamp
        self.declared = declared
        self.plan = plan
        self.options = options
        self.hangups = hangups
        self.logger = logger
        (looks, look) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func run() async throws {
        logger.info("agent started", metadata: ["containers": "\(declared.entries.count)"])
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask { await self.lookNowAndThen() }
                group.addTask { await self.lookAfterEvents() }
                group.addTask { await self.lookAfterHangups() }
                for await _ in self.looks {
                    for work in await self.decide() { group.addTask { await self.perform(work) } }
                }
            }
        }
        if options.stopsContainers { await stopContainers() }
        logger.info("agent ended", metadata: ["containers": "\(options.stopsContainers ? "stopped" : "go on")"])
    }

    // MARK: When it looks

    private func lookNowAndThen() async {
        while !Task.isCancelled {
            look.yield()
            try? await Task.sleep(for: options.interval)
        }
    }

    private func lookAfterEvents() async {
        await host.watch { _ in look.yield() }
    }

    private func lookAfterHangups() async {
        for await _ in hangups {
            stamp = nil
            look.yield()
        }
    }

    // MARK: What it decides

    struct Work: Sendable {
        var container: GuestName
        var steps: [Plan.Step]
    }

    private func decide() async -> [Work] {
        await readFile()
        // Containers in progress may be observed half done.
        let workedOn = busy
        let found: Observation
        do { found = try await see(also: declared) } catch {
            logger.warning("cannot see the containers; trying again", metadata: ["error": "\(error)"])
            return []
        }
        let decisions = plan.decisions(declared, found.containers).filter { !found.unclear.contains($0.container) }
        let now = ContinuousClock.now
        let needed = decisions.flatMap { decision in decision.steps.map { Retries.Key(decision.container, $0.kind) } }
        retries.forget(unless: Set(needed), at: now)
        tell(decisions)
        return decisions.compactMap { decision in
            let name = decision.container
            let steps = decision.steps.filter { retries.isDue(.init(name, $0.kind), at: now) }
            guard !steps.isEmpty, !workedOn.contains(name), busy.insert(name).inserted else { return nil }
            return Work(container: name, steps: steps)
        }
    }

    private func readFile() async {
        guard let reading = await file.read(unless: stamp) else { return }
        stamp = reading.stamp
        switch reading.declaration {
        case .success(let declaration):
            declared = declaration
            retries.forgetAll()
            logger.info("declaration read", metadata: ["containers": "\(declaration.entries.count)"])
        case .failure(let error):
            logger.error(
                "the declaration cannot be used; the last good one stays in force", metadata: ["error": "\(error)"])
        }
    }

    /// Says once what stands in the way, and again when that is another.
    private func tell(_ decisions: [Plan.Decision]) {
        for decision in decisions where decision.obstacle != obstacles[decision.container] {
            guard let obstacle = decision.obstacle else { continue }
            logger.warning(
                "not as declared", metadata: ["container": "\(decision.container)", "reason": "\(obstacle)"])
        }
        obstacles = decisions.reduce(into: [:]) { $0[$1.container] = $1.obstacle }
    }

    // MARK: What it does

    private func perform(_ work: Work) async {
        var waits: [Duration] = []
        for step in work.steps {
            let wait = retries.attempt(.init(work.container, step.kind), at: .now)
            waits.append(wait)
            var metadata: Logger.Metadata = ["container": "\(work.container)", "step": "\(step.kind.rawValue)"]
            logger.info("doing", metadata: metadata.merging(step.details) { $1 })
            do {
                try await carryOut(step, work.container)
            } catch is CancellationError {
                break
            } catch {
                metadata["error"] = "\(error)"
                metadata["again after"] = "\(wait)"
                logger.warning("cannot", metadata: metadata)
            }
        }
        busy.remove(work.container)
        look.yield()
        // Remaining work is due then.
        guard let wait = waits.min() else { return }
        try? await Task.sleep(for: wait)
        look.yield()
    }
}
