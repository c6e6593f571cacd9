// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging

/// Looks after the guests of one hypervisor driver: starts and ends them, leases their volumes, and connects their NICs.
///
/// A host has one for its containers and one for its system VMs; ``LXCHypervisor/Container`` and
/// ``LXCHypervisor/SystemVM`` are values over theirs. Operations are begun, and named, by those and by the service; what
/// the keeper does on a guest it does within one.
final class GuestKeeper: Sendable {
    /// What the guests are.
    let kind: GuestKind
    /// Runs the guests.
    let driver: any HypervisorDriver
    /// Where the volumes of the guests are.
    let pools: StorePools
    /// Connects the guests.
    let vifs: LXCHypervisor.VifDrivers
    /// The name this host uses when it takes leases.
    let hostName: String
    let policy: LXCHypervisor.Policy
    let leases: LXCHypervisor.LeasePolicy
    /// All guests of the host, those of the other keeper among them.
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

    /// The guest of that name, or nil.
    func guest(_ name: GuestName) async throws -> Guest? { try await driver.guestIfAny(name) }

    /// Runs an operation on a guest: observed from outside, and alone on that guest among all programs of the host. It
    /// waits for others as long as the policy says, or for `limit`.
    func operation<Value>(
        _ operation: String, on name: GuestName, waiting limit: Duration? = nil, _ body: () async throws -> Value
    ) async throws -> Value {
        try await Operation.run(operation, name.description, logger) {
            try await locks.hold(name, for: operation, within: limit ?? policy.operationTimeout, body)
        }
    }
}

extension HypervisorDriver {
    /// The guest of that name, or nil.
    func guestIfAny(_ name: GuestName) async throws -> Guest? {
        do {
            return try await guest(name)
        } catch let error as LXCError where error.code == .notFound {
            return nil
        }
    }

    /// The guest's document, or nil where there is no such guest.
    func definitionIfAny(of name: GuestName) async throws -> Domain? {
        do {
            return try await definition(of: name)
        } catch let error as LXCError where error.code == .notFound {
            return nil
        }
    }
}
