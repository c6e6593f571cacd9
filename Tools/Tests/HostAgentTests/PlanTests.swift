// SPDX-License-Identifier: Apache-2.0

import HostAgentPlan
import LXCHypervisor
import Testing

/// What the agent decides.
@Suite struct PlanTests {
    private let pool: PoolID
    private let template: TemplateID
    private let plan: Plan

    init() throws {
        pool = try PoolID(parsing: "0f8fad5b-d9cb-469f-a165-70867728950e")
        template = try TemplateID(parsing: "402b0be5-b840-3fef-b292-d330f3bf809a")
        plan = try Plan(pools: [pool], mark: OwnerMark(agent: "agent"))
    }

    private func specification(_ name: String = "web1") throws -> LXCHypervisor.ContainerSpecification {
        LXCHypervisor.ContainerSpecification(name: try GuestName(name), template: template)
    }

    /// The container as the agent made it.
    private func found(
        _ specification: LXCHypervisor.ContainerSpecification, _ state: GuestState = .running, owner: String? = "agent",
        limits: GuestLimits = GuestLimits(memory: .mebibytes(512), cpuShares: 1024)
    ) throws -> Plan.Found {
        var specification = specification
        specification.owner = owner
        return try Plan.Found(
            name: specification.name, state: state, document: specification.domain(root: "/srv/root", pool: pool),
            limits: limits)
    }

    private func decision(_ entry: Declaration.Entry, _ found: Plan.Found) throws -> Plan.Decision {
        let decisions = plan.decisions(Declaration([entry]), [found])
        #expect(decisions.count == 1)
        return try #require(decisions.first)
    }

    // MARK: Running and stopped

    @Test func whatIsNotThereIsMadeUnderTheAgentsMark() throws {
        var specification = try specification()
        specification.owner = "alice"
        for isRunning in [true, false] {
            let decisions = plan.decisions(Declaration([.init(specification, isRunning: isRunning)]), [])
            var marked = specification
            marked.owner = "agent/alice"
            #expect(decisions.map(\.steps) == [[.create(marked)]], "it is started when it is there")
        }
    }

    @Test(
        arguments: [
            (true, GuestState.running, []), (true, .paused, [.resume]), (true, .shuttingDown, []),
            (true, .shutOff, [.start]),
            (true, .crashed, [.start]), (false, .running, [.stop]), (false, .paused, [.stop]), (false, .shutOff, []),
        ] as [(Bool, GuestState, [Plan.Step])])
    func theStateIsMadeTheDeclaredOne(isRunning: Bool, state: GuestState, steps: [Plan.Step]) throws {
        let specification = try specification()
        let decision = try decision(.init(specification, isRunning: isRunning), found(specification, state))
        #expect(decision.steps == steps)
        #expect(decision.obstacle == nil)
    }

    @Test func whatIsDeclaredNoMoreIsStoppedAndDestroyedOnlyWhenAskedFor() throws {
        var destroying = plan
        destroying.destroysUndeclared = true
        let (running, stopped) = (try found(specification()), try found(specification(), .shutOff))
        #expect(plan.decisions(Declaration(), [running]).map(\.steps) == [[.stop]])
        #expect(plan.decisions(Declaration(), [stopped]).map(\.steps) == [[]])
        #expect(destroying.decisions(Declaration(), [running]).map(\.steps) == [[.stop]])
        #expect(destroying.decisions(Declaration(), [stopped]).map(\.steps) == [[.destroy]])
    }

    @Test(arguments: [nil, "somebody", "agents", "agent2/x", "Agent"])
    func whatOthersMadeIsLeftAlone(owner: String?) throws {
        var plan = plan
        plan.destroysUndeclared = true
        let others = try found(specification(), .shutOff, owner: owner)
        #expect(plan.decisions(Declaration(), [others]).isEmpty)
        var changed = try specification()
        changed.limits.memory = .mebibytes(64)
        let decision = try decision(.init(changed), others)
        #expect(decision.steps.isEmpty)
        #expect(decision.obstacle?.contains("did not make") == true)
    }

    @Test func whatIsInAnotherPoolIsLeftAlone() throws {
        var plan = plan
        plan.pools = [try PoolID(parsing: "11111111-d9cb-469f-a165-70867728950e")]
        plan.destroysUndeclared = true
        #expect(try plan.decisions(Declaration(), [found(specification())]).isEmpty)
    }

    /// A pool that is declared is compared; without one, a container may be in any pool of the host.
    @Test func theDeclaredPoolIsTheContainers() throws {
        let other = try PoolID(parsing: "11111111-d9cb-469f-a165-70867728950e")
        var plan = plan
        plan.pools = [other, pool]
        var specification = try specification()
        let there = try found(specification)
        #expect(plan.decisions(Declaration([.init(specification)]), [there])[0].obstacle == nil)
        specification.pool = other
        let obstacle = plan.decisions(Declaration([.init(specification)]), [there])[0].obstacle
        #expect(obstacle?.contains("pool") == true)
    }

    @Test func aBadContainerKeepsNoOtherFromBeingDecided() throws {
        var bad = try specification("bad")
        let there = try found(bad)
        bad.limits.memory = ByteCount(1)
        let decisions = try plan.decisions(Declaration([.init(bad), .init(specification("good"))]), [there])
        #expect(decisions[0].obstacle?.contains("memory") == true && decisions[0].steps.isEmpty)
        #expect(decisions[1].steps.map(\.kind) == [.create])
    }

    // MARK: Limits

    /// The limits that are changed when `change` is made to what was declared.
    private func change(
        from limits: GuestLimits = GuestLimits(memory: .mebibytes(512), cpuShares: 1024),
        _ change: (inout LXCHypervisor.ContainerSpecification) -> Void
    ) throws -> GuestLimits.Change? {
        let original = try specification()
        var changed = original
        change(&changed)
        let steps = try decision(.init(changed), found(original, limits: limits)).steps
        guard case .limit(let limits)? = steps.first else { return nil }
        return limits
    }

    @Test func changedLimitsAreChangedAloneAndBeforeAStart() throws {
        #expect(try change { $0.limits.memory = .mebibytes(256) } == .init(memory: .mebibytes(256)))
        #expect(try change { $0.limits.cpuShares = 300 } == .init(cpuShares: 300))
        #expect(
            try change {
                $0.limits.cpuQuota = .milliseconds(50)
                $0.limits.cpuPeriod = .milliseconds(100)
            } == .init(cpuPeriod: .milliseconds(100), cpuQuota: .limit(.milliseconds(50))))
        let original = try specification()
        var changed = original
        changed.limits.memory = .mebibytes(256)
        #expect(try decision(.init(changed), found(original, .shutOff)).steps.map(\.kind) == [.limit, .start])
    }

    @Test func whatIsTheSameIsNotChanged() throws {
        #expect(try change { _ in } == nil)
        #expect(try change { $0.limits.memory = ByteCount(512 << 20 | 4095) } == nil, "the kernel keeps whole pages")
        #expect(
            try change { $0.limits.cpuPeriod = .milliseconds(100) } == nil, "a period without a quota means nothing")
        #expect(
            try change(from: .init(memory: .mebibytes(512), cpuSet: CPUSet([0, 1]))) {
                $0.limits.cpuSet = try? CPUSet(parsing: "1,0")
            } == nil)
        #expect(try change(from: GuestLimits()) { _ in } == nil, "where the driver cannot tell, the document does")
    }

    @Test func aQuotaAndDeviceLimitsAreLifted() throws {
        let quota = GuestLimits(memory: .mebibytes(512), cpuPeriod: .milliseconds(100), cpuQuota: .milliseconds(50))
        #expect(try change(from: quota) { _ in } == .init(cpuQuota: .unlimited))
        let device = GuestLimits.Device(path: "/dev/sda", readBytesPerSecond: ByteCount(100))
        #expect(
            try change(from: .init(memory: .mebibytes(512), devices: [device])) { _ in }
                == .init(devices: [.init(path: "/dev/sda", readBytesPerSecond: .unlimited)]))
        #expect(
            try change { $0.limits.devices = [.init(path: "/dev/sdb", writeOperationsPerSecond: 5)] }
                == .init(devices: [.init(path: "/dev/sdb", writeOperationsPerSecond: .limit(5))]))
    }

    @Test func aLimitThatCannotBeLiftedIsTold() throws {
        var limited = try specification()
        limited.limits.softMemory = .mebibytes(64)
        let decision = try decision(.init(specification()), found(limited))
        #expect(decision.obstacle?.hasPrefix("softMemory cannot be lifted") == true)
    }

    // MARK: The rest

    @Test func restartAndAutostartAreChanged() throws {
        var changed = try specification()
        changed.restart = .always
        changed.isAutostarted = true
        let steps = try decision(.init(changed), found(specification())).steps
        #expect(steps == [.setRestart(.always), .setAutostart(true)])
    }

    @Test func whatCannotBeChangedIsTold() throws {
        let changes: [(String, @Sendable (inout LXCHypervisor.ContainerSpecification) -> Void)] = [
            ("init", { $0.initProcess.path = "/bin/sh" }), ("arguments", { $0.initProcess.arguments = ["-c"] }),
            ("environment", { $0.initProcess.environment = ["A": "b"] }), ("cpus", { $0.cpus = 2 }),
            ("privileged", { $0.privilege = .privileged }), ("title", { $0.title = "other" }),
            ("stopSignal", { $0.stopSignal = .terminate }), ("owner", { $0.owner = "alice" }),
            ("nics", { $0.nics = [NIC(bridge: "br0")] }), ("template", { $0.template = TemplateID.random() }),
        ]
        for (key, change) in changes {
            let original = try specification()
            var changed = original
            change(&changed)
            let decision = try decision(.init(changed), found(original))
            #expect(decision.steps.isEmpty, "\(key)")
            #expect(decision.obstacle?.hasPrefix("\(key) cannot be changed") == true, "\(decision.obstacle ?? key)")
        }
    }

    @Test(arguments: ["", "a/b"]) func anAgentHasANameWithoutASlash(name: String) {
        let error = #expect(throws: LXCError.self) { try OwnerMark(agent: name) }
        #expect(error?.code == .invalidArgument)
    }
}
