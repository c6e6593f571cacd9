// SPDX-License-Identifier: Apache-2.0

import LXCCore
import Libvirt

extension GuestState {
    init(_ state: DomainState) {
        self =
            switch state {
            case .noState, .other: .noState
            case .running: .running
            case .blocked: .blocked
            case .paused, .powerManagementSuspended: .paused
            case .shuttingDown: .shuttingDown
            case .shutOff: .shutOff
            case .crashed: .crashed
            }
    }
}

extension Guest {
    /// Nil for a domain whose name breaks the rules of this package.
    init?(_ summary: DomainSummary) {
        guard let name = try? GuestName(summary.identity.name) else { return nil }
        self.init(
            name: name, uuid: summary.identity.uuid, state: GuestState(summary.state), id: summary.identity.id,
            isTransient: !summary.isPersistent)
    }
}

extension GuestEventLedger.Report {
    /// Nil for an event of a foreign domain, and for kinds of events unknown to this package.
    init?(_ event: DomainEvent) {
        guard let name = try? GuestName(event.name), let kind = GuestEvent.Kind(event.kind) else { return nil }
        self.init(event: GuestEvent(guest: name, kind: kind), id: event.id)
    }
}

extension GuestEvent.Kind {
    fileprivate init?(_ kind: DomainEvent.Kind) {
        switch kind {
        case .defined: self = .defined
        case .undefined: self = .undefined
        case .started: self = .started
        case .suspended, .powerManagementSuspended: self = .suspended
        case .resumed: self = .resumed
        case .stopped: self = .stopped
        case .shutdown: self = .shutdown
        case .crashed: self = .crashed
        case .other: return nil
        }
    }
}
