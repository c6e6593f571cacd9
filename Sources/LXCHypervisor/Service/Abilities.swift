// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore

/// The abilities of a host's driver, looked up in one place. Each throws `LXCError` `unsupported` if the driver lacks
/// it.
extension HypervisorDriver {
    var transientGuests: any TransientGuests {
        get throws { try ability(to: "start guests that are forgotten when they end") }
    }
    var suspension: any GuestSuspension { get throws { try ability(to: "suspend guests") } }
    var autostart: any GuestAutostart { get throws { try ability(to: "start guests when it starts itself") } }
    var consoles: any GuestConsoles { get throws { try ability(to: "open consoles") } }
    var consoleResizing: any ConsoleResizing { get throws { try ability(to: "resize consoles") } }
    var execution: any GuestExecution { get throws { try ability(to: "run commands inside guests") } }
    var files: any GuestFiles { get throws { try ability(to: "reach the files of running guests") } }
    var agent: any GuestAgent { get throws { try ability(to: "write files inside guests by an agent") } }
    var interfaces: any GuestInterfaces { get throws { try ability(to: "attach interfaces to guests") } }
    var filtering: any NetworkFiltering { get throws { try ability(to: "hold interfaces to network filters") } }
    var limiting: any GuestLimiting { get throws { try ability(to: "read and change limits") } }
    var diskMaking: any DiskMaking { get throws { try ability(to: "make disks") } }

    /// Completes what the hypervisor leaves undone at starts and ends; `nil` if the driver's hypervisor leaves nothing
    /// undone.
    var upkeep: (any GuestUpkeep)? { self as? any GuestUpkeep }

    private func ability<Ability>(to action: String, as type: Ability.Type = Ability.self) throws -> Ability {
        guard let able = self as? Ability else {
            throw LXCError(.unsupported, "the hypervisor driver \(name) cannot \(action)")
        }
        return able
    }
}
