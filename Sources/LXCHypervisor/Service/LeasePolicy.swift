// SPDX-License-Identifier: Apache-2.0

public import LXCCore

extension LXCHypervisor {
    /// The duration and the loss handling of this host's leases on the volumes of its containers.
    public struct LeasePolicy: Sendable {
        /// How long a lease is valid unless renewed, which the service (``LXCHypervisor/run()``) does three times in
        /// that period; `nil`, the default, keeps it until the volume is released.
        ///
        /// With a duration, another host may take over the volume of a failed host: set one only if that host, and its
        /// containers with it, is then certain to be off. Programs that start containers without running the service
        /// leave it `nil`.
        public var duration: Duration?
        /// Called if a running container's lease is lost or held by another host: stop the container before both write
        /// to its root.
        public var onLoss: @Sendable (_ container: GuestName, _ error: LXCError) async -> Void

        /// Creates a lease policy.
        public init(
            duration: Duration? = nil, onLoss: @escaping @Sendable (GuestName, LXCError) async -> Void = { _, _ in }
        ) {
            self.duration = duration
            self.onLoss = onLoss
        }

        /// How often leases are checked.
        var interval: Duration { duration.map { $0 / 3 } ?? .seconds(60) }
    }
}
