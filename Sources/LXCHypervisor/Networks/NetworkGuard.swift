// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging
import VifDriver

/// Enforces the security of guests that libvirt starts on its own, after its own start or when a guest reboots from
/// inside: no code of this package ran before such a start. Also covers guests already running when watching begins,
/// because rules may have been lost while no program of this package ran.
struct NetworkGuard: GuestDuty {
    let keeper: GuestKeeper

    func work(after observation: LXCHypervisor.Observation) -> [GuestWork] {
        observation.running.map { name in GuestWork { await enforceSecurity(of: name) } }
    }

    /// A running guest whose security cannot be enforced is not stopped; the failure is logged as an error.
    private func enforceSecurity(of name: GuestName) async {
        let kind = keeper.kind
        do {
            // Most guests have no security rules and need no turn.
            guard try await !securedNICs(of: name).isEmpty else { return }
            try await keeper.operation("\(kind.operations).guard", on: name) {
                guard let guest = try await keeper.guest(name), guest.state.isActive else { return }
                for nic in try await securedNICs(of: name) { try await keeper.vifs.secure(nic, of: name) }
            }
        } catch let error as LXCError where error.code == .notFound {
            // A transient guest ended in the meantime.
        } catch is CancellationError {
            return
        } catch {
            keeper.logger.error(
                "the security of a running \(kind) is not enforced",
                metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }

    private func securedNICs(of name: GuestName) async throws -> [NIC] {
        try await keeper.connectedNICs(of: keeper.driver.definition(of: name), name).filter { $0.security != nil }
    }
}
