// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import Logging

/// Applies the limits the hypervisor does not enforce itself to containers it starts without this package, at host
/// start or after a reboot from inside.
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
