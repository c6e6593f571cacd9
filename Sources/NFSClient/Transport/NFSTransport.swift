import LXCCore

/// How a call ended.
struct NFSOutcome: Sendable {
    let result: Result<NFSReply, NFSFailure>
    /// Whether the server may have carried the call out before, and the reply was lost.
    let wasRepeated: Bool
}

/// What carries calls to a server: many at once, in any order.
protocol NFSTransport: AnyObject, Sendable {
    /// Sends a call; never waits. `completion` is called once, on the transport's thread, where it may submit more but
    /// must not block.
    func submit(
        _ call: NFSCall, cancellation: Cancellation?, completion: @escaping @Sendable (NFSOutcome) -> Void)
    /// Fails what is under way and ends.
    func close()
}

/// How a client works.
public struct NFSClientOptions: Hashable, Sendable {
    /// How many calls are under way at most.
    public var window = 128
    /// How many bytes of contents are under way at most; one call always goes.
    public var windowBytes = 16 << 20
    /// How long one reply may take before the connection is made anew and everything under way sent again.
    public var callTimeout: Duration = .seconds(60)
    /// How long a call is tried, over all connections, until it fails.
    public var giveUp: Duration = .seconds(180)

    /// The defaults.
    public init() {}
}
