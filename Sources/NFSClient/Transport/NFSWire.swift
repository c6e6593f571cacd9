// SPDX-License-Identifier: Apache-2.0

#if NFS
import CLibNFS
import FileTree

/// The wire format of one version of NFS's calls.
protocol NFSWire: Sendable {
    /// The version.
    var version: CInt { get }
    /// Puts a call into libnfs's queue. The call and its `room` live until the callback. False when libnfs cannot encode
    /// it, and then no callback comes.
    func send(
        _ call: NFSCall, over connection: borrowing RPCContext, into room: NFSReadRoom?, callback: rpc_cb?,
        context: UnsafeMutableRawPointer
    ) -> Bool
    /// Reads a call's result, which is valid during libnfs's callback only.
    func reply(
        to call: NFSCall, _ data: UnsafeMutableRawPointer, in room: NFSReadRoom?
    ) -> Result<NFSReply, NFSFailure>
}

/// The memory of one READ: libnfs 6 and later fills memory of its caller's, until the callback.
final class NFSReadRoom {
    let bytes: UnsafeMutableRawBufferPointer

    /// Nil for other calls, and where libnfs has memory of its own.
    init?(for call: NFSCall) {
        guard clibnfs_borrows_memory(), case .read(_, _, let count) = call else { return nil }
        bytes = .allocate(byteCount: max(count, 1), alignment: 8)
    }

    deinit { bytes.deallocate() }

    /// A copy of the bytes returned by a READ, never more than requested: from libnfs's decoded buffer, or from `room`.
    static func contents(_ decoded: UnsafePointer<CChar>?, _ count: Int, _ room: NFSReadRoom?) -> SharedBytes {
        let start = room.map { UnsafeRawPointer($0.bytes.baseAddress) } ?? UnsafeRawPointer(decoded)
        return withExtendedLifetime(room) { SharedBytes(copying: UnsafeRawBufferPointer(start: start, count: count)) }
    }
}
#endif
