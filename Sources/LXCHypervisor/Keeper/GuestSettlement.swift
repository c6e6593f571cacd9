// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging

/// Releases what a guest that is not running holds, including one that ended while the hypervisor was unreachable, and
/// leases the volumes of guests that have just started: libvirt starts some by itself and takes no leases.
struct GuestSettlement: GuestDuty {
    let keeper: GuestKeeper

    func work(after observation: LXCHypervisor.Observation) -> [GuestWork] {
        var work = observation.ended.map { name in GuestWork { await keeper.settle(name) } }
        // The leases of guests that were already running are handled by ``GuestKeeper/lookAfterLeases()``.
        if case .event(let event) = observation, event.kind == .started {
            work.append(GuestWork { await keeper.renewLease(of: event.guest, lasting: keeper.leases.duration) })
        }
        return work
    }
}

extension GuestKeeper {
    /// Releases what a guest that is not running holds.
    func settle(_ name: GuestName) async {
        do {
            try await operation("\(kind.operations).settle", on: name) {
                guard let guest = try await guest(name), !guest.state.isActive else { return }
                try await driver.upkeep?.tidy(guest)
                let domain = try await driver.definition(of: name)
                guard let record = try pools.record(of: domain) else { return }
                try await vifs.unplug(domain.interfaces)
                try await giveBackLease(on: record.volume, of: name)
            }
        } catch {
            logger.warning(
                "cannot give back what a \(kind) that ended holds",
                metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }
}
