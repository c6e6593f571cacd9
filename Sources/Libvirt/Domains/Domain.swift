// SPDX-License-Identifier: Apache-2.0

import CLibvirt
public import FoundationEssentials
public import LXCCore

/// A domain as a list names it: a container, or a virtual machine.
public struct DomainIdentity: Hashable, Sendable {
    /// The name, unique on the host.
    public var name: String
    /// The UUID, unique everywhere.
    public var uuid: UUID
    /// A number while it runs, otherwise nil. For a container it is the process id of its `libvirt_lxc` controller as
    /// the daemon sees it; the container's init is that process's child.
    public var id: Int32?
}

/// A domain with the data for a power report.
public struct DomainSummary: Hashable, Sendable {
    /// The domain.
    public var identity: DomainIdentity
    /// The state of the domain.
    public var state: DomainState
    /// Whether a stored definition outlives its run.
    public var isPersistent: Bool

    /// Whether it runs, be it paused.
    public var isActive: Bool { identity.id != nil }
}

/// The state of a domain.
public enum DomainState: Hashable, Sendable {
    /// libvirt does not know.
    case noState
    /// It runs.
    case running
    /// A virtual machine that waits on a resource.
    case blocked
    /// It is suspended: frozen in memory.
    case paused
    /// It is on its way to ``shutOff``.
    case shuttingDown
    /// It does not run.
    case shutOff
    /// It ended by a failure.
    case crashed
    /// Its guest suspended itself.
    case powerManagementSuspended
    /// A state of a newer libvirt, with its number.
    case other(Int32)

    init(_ number: Int32) {
        self =
            switch virDomainState(rawValue: UInt32(bitPattern: number)) {
            case VIR_DOMAIN_NOSTATE: .noState
            case VIR_DOMAIN_RUNNING: .running
            case VIR_DOMAIN_BLOCKED: .blocked
            case VIR_DOMAIN_PAUSED: .paused
            case VIR_DOMAIN_SHUTDOWN: .shuttingDown
            case VIR_DOMAIN_SHUTOFF: .shutOff
            case VIR_DOMAIN_CRASHED: .crashed
            case VIR_DOMAIN_PMSUSPENDED: .powerManagementSuspended
            default: .other(number)
            }
    }
}

/// A domain's state and why it is in it.
public struct DomainStatus: Hashable, Sendable {
    /// The state of the domain.
    public var state: DomainState
    /// libvirt's number for why, which counts per state: `virDomainShutoffReason` and its like.
    public var reason: Int32
}

/// The resources a domain may use and has used.
public struct DomainInfo: Hashable, Sendable {
    /// The state of the domain.
    public var state: DomainState
    /// The memory it may have at most.
    public var maximumMemory: ByteCount
    /// The current memory: the usage of a container, the allocation of a virtual machine.
    public var memory: ByteCount
    /// Its virtual CPUs.
    public var virtualCPUs: Int
    /// CPU time used since it started, in nanoseconds.
    public var cpuTime: UInt64
}

/// The ways to ask a guest to shut down or to reboot.
public struct ShutdownMethods: OptionSet, Hashable, Sendable {
    /// The bits of `virDomainShutdownFlagValues`.
    public let rawValue: UInt32

    /// Creates shutdown methods from libvirt's bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// A virtual machine's power button.
    public static let powerButton = Self(rawValue: 1 << 0)
    /// The guest agent of a virtual machine.
    public static let guestAgent = Self(rawValue: 1 << 1)
    /// A request through the container's `/dev/initctl`. The daemon opens a path the guest controls: prefer
    /// ``signal`` for containers that are not trusted.
    public static let initctl = Self(rawValue: 1 << 2)
    /// A signal to the container's init: SIGTERM to shut down, SIGHUP to reboot.
    public static let signal = Self(rawValue: 1 << 3)
}

/// The options for starting a domain.
public struct StartOptions: OptionSet, Hashable, Sendable {
    /// The bits of `virDomainCreateFlags`.
    public let rawValue: UInt32

    /// Creates start options from libvirt's bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Starts it suspended. LXC's driver does not offer this.
    public static let paused = Self(rawValue: 1 << 0)
    /// Destroys it when this connection ends. A connection that is lost and opened again does not save it.
    public static let destroyWithConnection = Self(rawValue: 1 << 1)
    /// Checks the document against libvirt's schema first; only for a document given with the call.
    public static let validate = Self(rawValue: 1 << 4)
}

/// The parts of a domain's document to return.
public struct XMLOptions: OptionSet, Hashable, Sendable {
    /// The bits of `virDomainXMLFlags`.
    public let rawValue: UInt32

    /// Creates XML options from libvirt's bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// With secrets, such as a VNC password.
    public static let secure = Self(rawValue: 1 << 0)
    /// The stored definition, also while a changed one runs.
    public static let inactive = Self(rawValue: 1 << 1)
}

/// The configurations a change applies to.
public struct ModificationImpact: OptionSet, Hashable, Sendable {
    /// The bits of `virDomainModificationImpact`; zero means the running domain, or the stored one if it does not run.
    public let rawValue: UInt32

    /// Creates a modification impact from libvirt's bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The running domain.
    public static let live = Self(rawValue: 1 << 0)
    /// The stored definition, which counts from the next start.
    public static let config = Self(rawValue: 1 << 1)
}
