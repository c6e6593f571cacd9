// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging

/// Manages the guests of one hypervisor driver: starts and ends them, leases their volumes, and connects their NICs.
///
/// A host has one keeper for its containers and one for its system VMs; ``LXCHypervisor/Container`` and
/// ``LXCHypervisor/SystemVM`` are values that refer to theirs. They and the service begin and name the operations; the
/// keeper acts on a guest only within an operation.
final class GuestKeeper: Sendable {
    /// The kind of the guests.
    let kind: GuestKind
    /// Runs the guests.
    let driver: any HypervisorDriver
    /// The pools of the guests' volumes.
    let pools: StorePools
    /// The drivers that connect the guests to networks.
    let vifs: LXCHypervisor.VifDrivers
    /// The name this host uses when it takes leases.
    let hostName: String
    let policy: LXCHypervisor.Policy
    let leases: LXCHypervisor.LeasePolicy
    /// All guests of the host, including those of the other keeper.
    let register: GuestRegister
    let locks: GuestLocks
    /// The host ids of unprivileged containers.
    let ids: HostIDs
    let logger: Logger

    init(
        of kind: GuestKind, _ driver: any HypervisorDriver, pools: StorePools, vifs: LXCHypervisor.VifDrivers,
        hostName: String, policy: LXCHypervisor.Policy, leases: LXCHypervisor.LeasePolicy, register: GuestRegister,
        locks: GuestLocks, ids: HostIDs, logger: Logger
    ) {
        self.kind = kind
        self.driver = driver
        self.pools = pools
        self.vifs = vifs
        self.hostName = hostName
        self.policy = policy
        self.leases = leases
        self.register = register
        self.locks = locks
        self.ids = ids
        self.logger = logger
    }

    /// The guest of that name, or `nil`.
    func guest(_ name: GuestName) async throws -> Guest? { try await driver.guestIfAny(name) }

    /// Runs an operation on a guest: observable from outside, and exclusive on that guest across all programs of the
    /// host. Waits for other operations for `limit`, or by default as long as the policy allows.
    func operation<Value>(
        _ operation: String, on name: GuestName, waiting limit: Duration? = nil, _ body: () async throws -> Value
    ) async throws -> Value {
        try await Operation.run(operation, name.description, logger) {
            try await locks.hold(name, for: operation, within: limit ?? policy.operationTimeout, body)
        }
    }
}

extension HypervisorDriver {
    /// The guest of that name, or `nil`.
    func guestIfAny(_ name: GuestName) async throws -> Guest? {
        do {
            return try await guest(name)
        } catch let error as LXCError where error.code == .notFound {
            return nil
        }
    }

    /// The guest's domain document, or `nil` if there is no such guest.
    func definitionIfAny(of name: GuestName) async throws -> Domain? {
        do {
            return try await definition(of: name)
        } catch let error as LXCError where error.code == .notFound {
            return nil
        }
    }
}
