public import LXCCore
public import LibvirtXML

/// A driver that starts guests which the hypervisor forgets when they end, for controllers that keep their own record of
/// what they run.
public protocol TransientGuests: HypervisorDriver {
    /// Starts a guest without defining it.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming the field, `invalidState` when a guest of the name runs already,
    ///   `hypervisor`.
    func startTransient(_ domain: Domain) async throws
}

/// A driver that asks guests to end.
public protocol GuestShutdown: HypervisorDriver {
    /// Asks the guest to end, and returns when it has been asked.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    func shutdown(_ guest: GuestName) async throws
}

/// A driver that sends signals to a guest's process 1.
public protocol GuestSignalling: HypervisorDriver {
    /// Sends a signal to the guest's process 1.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    func send(_ signal: GuestSignal, to guest: GuestName) async throws
}

/// A driver that suspends and resumes guests.
public protocol GuestSuspension: HypervisorDriver {
    /// Stops the guest's processes where they are.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    func suspend(_ guest: GuestName) async throws

    /// Lets a suspended guest go on.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not suspended.
    func resume(_ guest: GuestName) async throws
}

/// A driver whose hypervisor starts guests at its own start.
public protocol GuestAutostart: HypervisorDriver {
    /// Whether the hypervisor starts the guest when it starts itself.
    func isAutostarted(_ guest: GuestName) async throws -> Bool

    /// Has the hypervisor start the guest when it starts itself, or not.
    ///
    /// - Throws: `LXCError` `invalidState` for a guest that is forgotten when it ends.
    func setAutostart(_ isOn: Bool, of guest: GuestName) async throws
}

/// A driver that completes the hypervisor's work at a guest's start and end. A driver without such work does not
/// conform.
public protocol GuestUpkeep: HypervisorDriver {
    /// Applies to a running guest the limits that the hypervisor itself does not enforce: its limit of processes.
    /// ``HypervisorDriver/start(_:)`` and ``TransientGuests/startTransient(_:)`` do so themselves; this is for guests
    /// that the hypervisor has started or restarted automatically.
    ///
    /// - Throws: `LXCError` `notFound`, `invalidState` when it has ended.
    func confine(_ guest: GuestName) async throws

    /// Removes the remains on the host of a guest that has ended by itself, such as control groups;
    /// ``HypervisorDriver/kill(_:)`` does so itself.
    ///
    /// - Parameter guest: the guest as it was known last; the hypervisor may have forgotten it since.
    /// - Throws: `LXCError` `unavailable` when the hypervisor cannot be reached.
    func tidy(_ guest: Guest) async throws
}
