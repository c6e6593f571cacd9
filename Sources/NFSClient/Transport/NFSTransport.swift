// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// The result of a call.
struct NFSOutcome: Sendable {
    let result: Result<NFSReply, NFSFailure>
    /// Whether the server may have carried the call out before, and the reply was lost.
    let wasRepeated: Bool
}

/// Carries calls to a server: many concurrently, in any order.
protocol NFSTransport: AnyObject, Sendable {
    /// Sends a call; never waits. `completion` is called once, on the transport's thread, where it may submit more but
    /// must not block.
    func submit(
        _ call: NFSCall, cancellation: Cancellation?, completion: @escaping @Sendable (NFSOutcome) -> Void)
    /// Fails the calls in flight and ends.
    func close()
}

/// The options of a client.
public struct NFSClientOptions: Hashable, Sendable {
    /// The maximum number of calls in flight.
    public var window = 128
    /// The maximum number of bytes of contents in flight; a single call is always sent.
    public var windowBytes = 16 << 20
    /// The time limit for one reply; after it the connection is made anew and all calls in flight are resent.
    public var callTimeout: Duration = .seconds(60)
    /// The time limit for a call over all connections.
    public var giveUp: Duration = .seconds(180)

    /// The defaults.
    public init() {}
}
