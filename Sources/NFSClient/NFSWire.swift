import CLibNFS

/// How calls of one version of NFS look on the wire.
protocol NFSWire: Sendable {
    /// The version.
    var version: CInt { get }
    /// Puts a call into libnfs's queue; everything is encoded when it returns. False when libnfs cannot encode it, and
    /// then no callback comes.
    func send(
        _ call: NFSCall, over connection: borrowing RPCContext, callback: rpc_cb?, context: UnsafeMutableRawPointer
    ) -> Bool
    /// Reads a call's result, which is valid during libnfs's callback only.
    func reply(to call: NFSCall, _ data: UnsafeMutableRawPointer) -> Result<NFSReply, NFSFailure>
}
