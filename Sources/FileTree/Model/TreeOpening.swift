// SPDX-License-Identifier: Apache-2.0

public import LXCCore

/// What a copy opens its origin and its destination with.
public struct TreeOpening: Sendable {
    /// What was asked of the copy. An origin honours the limits alone.
    public var options: TreeCopyOptions
    /// Cancelled together with the copy. Whatever waits, for a server or for threads of its own, checks it meanwhile.
    public var cancellation: Cancellation

    /// What the origin refuses to exceed (`limitExceeded`).
    public var limits: TreeLimits { options.limits }

    /// Creates an opening for a copy with the given options.
    public init(options: TreeCopyOptions = TreeCopyOptions(), cancellation: Cancellation = Cancellation()) {
        self.options = options
        self.cancellation = cancellation
    }

    /// Creates an opening for reading within limits.
    public init(limits: TreeLimits, cancellation: Cancellation = Cancellation()) {
        self.init(cancellation: cancellation)
        options.limits = limits
    }
}
