// SPDX-License-Identifier: Apache-2.0

public import LXCCore
public import LibvirtXML

/// A driver that starts transient guests, which the hypervisor forgets when they end, for controllers that keep their
/// own record of what they run.
public protocol TransientGuests: HypervisorDriver {
    /// Starts a guest without defining it.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming the field, `invalidState` if a guest of the name is already
    ///   running, `hypervisor`.
    func startTransient(_ domain: Domain) async throws
}

/// A driver that asks guests to shut down.
public protocol GuestShutdown: HypervisorDriver {
    /// Asks the guest to shut down and returns once the request is sent.
    ///
    /// - Throws: `LXCError` `invalidState` if it is not running.
    func shutdown(_ guest: GuestName) async throws
}

/// A driver that sends signals to a guest's process 1.
public protocol GuestSignalling: HypervisorDriver {
    /// Sends a signal to the guest's process 1.
    ///
    /// - Throws: `LXCError` `invalidState` if it is not running.
    func send(_ signal: GuestSignal, to guest: GuestName) async throws
}

/// A driver that suspends and resumes guests.
public protocol GuestSuspension: HypervisorDriver {
    /// Pauses the guest's processes.
    ///
    /// - Throws: `LXCError` `invalidState` if it is not running.
    func suspend(_ guest: GuestName) async throws

    /// Resumes a suspended guest.
    ///
    /// - Throws: `LXCError` `invalidState` if it is not suspended.
    func resume(_ guest: GuestName) async throws
}

/// A driver whose hypervisor starts guests when it starts itself.
public protocol GuestAutostart: HypervisorDriver {
    /// Whether the hypervisor starts the guest when it starts itself.
    func isAutostarted(_ guest: GuestName) async throws -> Bool

    /// Sets whether the hypervisor starts the guest when it starts itself.
    ///
    /// - Throws: `LXCError` `invalidState` for a transient guest.
    func setAutostart(_ isOn: Bool, of guest: GuestName) async throws
}

/// A driver that completes the hypervisor's work at a guest's start and end. A driver without such work does not
/// conform.
public protocol GuestUpkeep: HypervisorDriver {
    /// Applies to a running guest the limit that the hypervisor itself does not enforce: its process limit.
    /// ``HypervisorDriver/start(_:)`` and ``TransientGuests/startTransient(_:)`` do so themselves; this is for guests
    /// that the hypervisor has started or restarted automatically.
    ///
    /// - Throws: `LXCError` `notFound`, `invalidState` if it has ended.
    func confine(_ guest: GuestName) async throws

    /// Removes what a guest that ended on its own left on the host, such as control groups;
    /// ``HypervisorDriver/kill(_:)`` does so itself.
    ///
    /// - Parameter guest: the guest as last known; the hypervisor may have forgotten it since.
    /// - Throws: `LXCError` `unavailable` if the hypervisor cannot be reached.
    func tidy(_ guest: Guest) async throws
}
