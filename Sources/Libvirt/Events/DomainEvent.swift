// SPDX-License-Identifier: Apache-2.0

import CLibvirt
public import FoundationEssentials

/// A turn in a domain's life.
public struct DomainEvent: Hashable, Sendable {
    /// The kind of event.
    public enum Kind: Hashable, Sendable {
        /// A definition was stored or changed.
        case defined
        /// The definition was removed.
        case undefined
        /// It started.
        case started
        /// It was suspended.
        case suspended
        /// It was resumed.
        case resumed
        /// It stopped.
        case stopped
        /// Its guest has shut down and is about to stop.
        case shutdown
        /// Its guest suspended itself.
        case powerManagementSuspended
        /// It ended by a failure.
        case crashed
        /// An event of a newer libvirt, with its number.
        case other(Int32)
    }

    /// The domain's name.
    public var name: String
    /// The domain's UUID.
    public var uuid: UUID
    /// Its number as in ``DomainIdentity/id`` when the event was made; nil after its end.
    public var id: Int32?
    /// The kind of event.
    public var kind: Kind
    /// libvirt's number for how it happened, which counts per kind: `virDomainEventStoppedDetailType` and its like.
    public var detail: Int32
}

extension DomainEvent.Kind {
    init(_ number: Int32) {
        self =
            switch virDomainEventType(rawValue: UInt32(bitPattern: number)) {
            case VIR_DOMAIN_EVENT_DEFINED: .defined
            case VIR_DOMAIN_EVENT_UNDEFINED: .undefined
            case VIR_DOMAIN_EVENT_STARTED: .started
            case VIR_DOMAIN_EVENT_SUSPENDED: .suspended
            case VIR_DOMAIN_EVENT_RESUMED: .resumed
            case VIR_DOMAIN_EVENT_STOPPED: .stopped
            case VIR_DOMAIN_EVENT_SHUTDOWN: .shutdown
            case VIR_DOMAIN_EVENT_PMSUSPENDED: .powerManagementSuspended
            case VIR_DOMAIN_EVENT_CRASHED: .crashed
            default: .other(number)
            }
    }
}
