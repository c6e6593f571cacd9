// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import Logging

/// Brings containers that the hypervisor starts without us, with the host or after a reboot from inside, under the limits
/// that it does not keep itself.
struct ContainerConfinement: GuestDuty {
    let keeper: GuestKeeper

    func work(after observation: LXCHypervisor.Observation) -> [GuestWork] {
        observation.running.map { name in GuestWork { await confine(name) } }
    }

    private func confine(_ name: GuestName) async {
        do {
            try await keeper.operation("container.confine", on: name) {
                guard let guest = try await keeper.guest(name), guest.state.isActive else { return }
                try await keeper.driver.upkeep?.confine(name)
            }
        } catch {
            keeper.logger.warning("cannot limit a container", metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }
}
