public import LXCCore

extension LXCHypervisor {
    /// How this host's leases on the volumes of its containers last.
    public struct LeasePolicy: Sendable {
        /// How long a lease holds unless it is renewed, which the service (``LXCHypervisor/run()``) does three times
        /// within; nil, which is the default, until the volume is given back.
        ///
        /// With a duration another host may take the volume of a host that went away: only where that host, and its
        /// containers with it, is then sure to be off. Programs that start containers and do not run the service leave
        /// it nil.
        public var duration: Duration?
        /// Called for a running container whose lease is another host's, or gone: stop it before both write to its root.
        public var onLoss: @Sendable (_ container: GuestName, _ error: LXCError) async -> Void

        /// Creates a way of leasing.
        public init(
            duration: Duration? = nil, onLoss: @escaping @Sendable (GuestName, LXCError) async -> Void = { _, _ in }
        ) {
            self.duration = duration
            self.onLoss = onLoss
        }

        /// How often leases are looked after.
        var interval: Duration { duration.map { $0 / 3 } ?? .seconds(60) }
    }
}
