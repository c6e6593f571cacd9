// SPDX-License-Identifier: Apache-2.0

package import LXCHypervisor
import LibvirtXML

/// The agent's decisions: turns the declaration and the present state into steps. It carries nothing out.
package struct Plan: Sendable {
    /// Something to be done with one container.
    package enum Step: Equatable, Sendable {
        case create(LXCHypervisor.ContainerSpecification)
        case limit(GuestLimits.Change)
        case setRestart(ContainerMetadata.RestartPolicy)
        case setAutostart(Bool)
        case start
        case resume
        case stop
        case destroy

        /// The kind of step, regardless of its values.
        package enum Kind: String, Sendable { case create, limit, restart, autostart, start, resume, stop, destroy }

        package var kind: Kind {
            switch self {
            case .create: .create
            case .limit: .limit
            case .setRestart: .restart
            case .setAutostart: .autostart
            case .start: .start
            case .resume: .resume
            case .stop: .stop
            case .destroy: .destroy
            }
        }
    }

    /// A container there is.
    package struct Found: Sendable {
        package var name: GuestName
        package var state: GuestState
        package var document: Domain
        package var limits: GuestLimits
        package var isAutostarted: Bool

        package init(
            name: GuestName, state: GuestState, document: Domain, limits: GuestLimits = GuestLimits(),
            isAutostarted: Bool = false
        ) {
            self.name = name
            self.state = state
            self.document = document
            self.limits = limits
            self.isAutostarted = isAutostarted
        }
    }

    /// The steps for a container, in order, and the obstacle to them.
    package struct Decision: Equatable, Sendable {
        package var container: GuestName
        package var steps: [Step] = []
        /// The reason why the container differs from its declaration and will continue to; nil if it does not.
        package var obstacle: String?
    }

    /// The primary stores, the default first.
    package var pools: [PoolID]
    /// By what the agent knows its containers.
    package var mark: OwnerMark
    /// Whether containers of the agent's own that are declared no more are destroyed; else they are stopped.
    package var destroysUndeclared: Bool

    package init(pools: [PoolID], mark: OwnerMark, destroysUndeclared: Bool = false) {
        self.pools = pools
        self.mark = mark
        self.destroysUndeclared = destroysUndeclared
    }

    /// Whether the agent made a container.
    package func isOwn(_ document: Domain) -> Bool {
        guard let metadata = try? document.containerMetadata() else { return false }
        return pools.contains(metadata.pool) && mark.isOn(metadata.owner)
    }

    /// The decisions: first for declared containers, in the order of the file, then for containers no longer declared.
    package func decisions(_ declared: Declaration, _ found: [Found]) -> [Decision] {
        let names = Set(declared.entries.map(\.specification.name))
        let kept = declared.entries.map { entry in
            found.first { $0.name == entry.specification.name }.map { keep(entry, $0) } ?? create(entry)
        }
        return kept + found.filter { !names.contains($0.name) && isOwn($0.document) }.map(remove)
    }

    /// It is started once it exists: the next look decides.
    private func create(_ entry: Declaration.Entry) -> Decision {
        Decision(container: entry.specification.name, steps: [.create(mark.put(on: entry.specification))])
    }

    private func remove(_ found: Found) -> Decision {
        if found.state.isActive { return Decision(container: found.name, steps: [.stop]) }
        return Decision(container: found.name, steps: destroysUndeclared ? [.destroy] : [])
    }

    private func keep(_ entry: Declaration.Entry, _ found: Found) -> Decision {
        let specification = mark.put(on: entry.specification)
        var decision = Decision(container: found.name)
        guard isOwn(found.document), let metadata = try? found.document.containerMetadata() else {
            decision.obstacle = "there is a container of this name that the agent did not make; it is left alone"
            return decision
        }
        let limits = LimitChange(specification, found)
        do {
            let wanted = try FixedParts(specification.domain(root: "/", pool: specification.pool ?? metadata.pool))
            let fixed = try wanted.differences(from: FixedParts(found.document), specification.privilege)
            let obstacles = [
                (fixed, "cannot be changed in a container there is; destroy it, and it is made anew"),
                (limits.lasting, "cannot be lifted in a container there is; declare a value"),
            ].filter { !$0.0.isEmpty }.map { keys, reason in "\(keys.joined(separator: ", ")) \(reason)" }
            if !obstacles.isEmpty { decision.obstacle = obstacles.joined(separator: "; ") }
        } catch {
            decision.obstacle = "the declaration cannot be carried out: \(error)"
            return decision
        }
        if let change = limits.changes { decision.steps.append(.limit(change)) }
        if metadata.restart != specification.restart { decision.steps.append(.setRestart(specification.restart)) }
        if found.isAutostarted != specification.isAutostarted {
            decision.steps.append(.setAutostart(specification.isAutostarted))
        }
        if entry.isRunning != found.state.isActive { decision.steps.append(entry.isRunning ? .start : .stop) }
        // Suspended, it is there and does nothing.
        if entry.isRunning, found.state == .paused { decision.steps.append(.resume) }
        return decision
    }
}
