// SPDX-License-Identifier: Apache-2.0

import HostAgentPlan
import LXCHypervisor
import Logging

extension Agent {
    /// The relevant containers: the agent's own, and those that have a declared one's name.
    struct Observation: Sendable {
        var containers: [Plan.Found] = []
        /// Containers that could not be examined. Nothing is decided about them.
        var unclear: Set<GuestName> = []
    }

    func see(also declared: Declaration = Declaration()) async throws -> Observation {
        let names = Set(declared.entries.map(\.specification.name))
        var observation = Observation()
        for container in try await host.containers() {
            do {
                let document = try await container.domain()
                guard names.contains(container.name) || plan.isOwn(document) else { continue }
                observation.containers.append(
                    Plan.Found(
                        name: container.name, state: try await container.info().state, document: document,
                        limits: try await container.limits(), isAutostarted: try await container.isAutostarted()))
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                // It may just have ended, or be gone.
                observation.unclear.insert(container.name)
                logger.debug(
                    "cannot look at a container", metadata: ["container": "\(container.name)", "error": "\(error)"])
            }
        }
        return observation
    }

    func carryOut(_ step: Plan.Step, _ name: GuestName) async throws {
        if case .create(let specification) = step {
            _ = try await host.createContainer(specification)
            return
        }
        let container = try await host.container(name)
        switch step {
        case .create: break
        case .limit(let limits): try await container.setLimits(limits)
        case .setRestart(let restart): try await container.setRestart(restart)
        case .setAutostart(let isOn): try await container.setAutostart(isOn)
        case .start: try await start(container)
        case .resume: try await container.resume()
        case .stop: try await container.stop()
        case .destroy: try await container.delete()
        }
    }

    /// Its restart policy, or an operator, can have been faster.
    private func start(_ container: LXCHypervisor.Container) async throws {
        do {
            try await container.start()
        } catch let error as LXCError where error.code == .invalidState {
            guard try await container.info().state.isActive else { throw error }
        }
    }

    /// Stops all of the agent's own, side by side.
    func stopContainers() async {
        do {
            let running = try await see().containers.filter { $0.state.isActive }
            await withDiscardingTaskGroup { group in
                for found in running where plan.isOwn(found.document) {
                    group.addTask { await self.stop(found.name) }
                }
            }
        } catch {
            logger.error("cannot stop the containers", metadata: ["error": "\(error)"])
        }
    }

    private func stop(_ name: GuestName) async {
        logger.info("doing", metadata: ["container": "\(name)", "step": "stop", "reason": "the agent ends"])
        do {
            try await host.container(name).stop()
        } catch {
            logger.error("cannot", metadata: ["container": "\(name)", "step": "stop", "error": "\(error)"])
        }
    }
}

extension Plan.Step {
    /// Log metadata besides its kind.
    var details: Logger.Metadata {
        switch self {
        case .create(let specification):
            ["template": "\(specification.template)", "memory": "\(specification.limits.memory?.description ?? "-")"]
        case .limit(let limits): limits.details
        case .setRestart(let restart): ["value": "\(restart.rawValue)"]
        case .setAutostart(let isOn): ["value": "\(isOn)"]
        case .start, .resume, .stop, .destroy: [:]
        }
    }
}

extension GuestLimits.Change {
    /// Those that are given.
    fileprivate var details: Logger.Metadata {
        let values: [(String, String?)] = [
            ("memory", memory?.description), ("softMemory", softMemory?.description),
            ("memoryAndSwap", memoryAndSwap?.description), ("cpuShares", cpuShares?.description),
            ("cpuPeriod", cpuPeriod?.description), ("cpuQuota", cpuQuota.map { Self.text($0) }),
            ("cpuSet", cpuSet?.description),
            ("processes", processes.map { Self.text($0) }), ("blockIOWeight", blockIOWeight?.description),
            ("blockIODevices", devices.isEmpty ? nil : devices.map(\.path).joined(separator: " ")),
        ]
        return values.reduce(into: [:]) { details, entry in details[entry.0] = entry.1.map { "\($0)" } }
    }

    private static func text<Value>(_ setting: Setting<Value>) -> String {
        setting.limit.map { "\($0)" } ?? "unlimited"
    }
}
