// SPDX-License-Identifier: Apache-2.0

#if NFS
import CLibNFS
import Glibc
import LXCCore
import Synchronization

/// Owns one of libnfs's contexts: a connection to one service, and the calls that wait for its replies.
///
/// Used by one thread. Ending it calls the callback of everything that still waits, with RPC_STATUS_CANCEL.
struct RPCContext: ~Copyable {
    let raw: OpaquePointer

    /// libnfs numbers its contexts with a variable it does not protect.
    private static let making = Mutex(())

    /// Makes a context that is not connected.
    ///
    /// - Parameters:
    ///   - user: the user in whose name calls are made.
    ///   - group: its group.
    /// - Throws: `LXCError` `io` without memory.
    init(user: UInt32, group: UInt32) throws {
        guard let raw = Self.making.withLock({ _ in rpc_init_context().map { Owned(raw: $0) } })?.raw else {
            throw LXCError(.io, "no memory for an NFS connection")
        }
        rpc_set_uid(raw, CInt(bitPattern: user))
        rpc_set_gid(raw, CInt(bitPattern: group))
        clibnfs_disable_timeout(raw)
        self.raw = raw
    }

    /// Carries a new context out of the lock; it is this thread's alone.
    private struct Owned: @unchecked Sendable { let raw: OpaquePointer }

    deinit { rpc_destroy_context(raw) }

    /// The socket; negative if there is none (any more).
    var descriptor: CInt { rpc_get_fd(raw) }

    /// libnfs's description of the last failure.
    var problem: String { rpc_get_error(raw).map { String(cString: $0).escapedForDisplay } ?? "unknown failure" }

    /// Begins to connect to a service; `callback` gets `context`. Without a port the server's portmapper is asked.
    func connect(
        to server: String, port: UInt16?, program: CInt, version: CInt, callback: rpc_cb?,
        context: UnsafeMutableRawPointer?
    ) -> Bool {
        guard let port else {
            return rpc_connect_program_async(raw, server, program, version, callback, context) == 0
        }
        return rpc_connect_port_async(raw, server, CInt(port), program, version, callback, context) == 0
    }

    /// Small calls are sent immediately, whatever else is in flight.
    func disableDelay() {
        var on: CInt = 1
        setsockopt(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<CInt>.size))
    }

    /// The socket events to wait for.
    var events: Int16 { Int16(truncatingIfNeeded: rpc_which_events(raw)) }

    /// Sends and receives. False when the connection is lost.
    func service(_ events: Int16) -> Bool { rpc_service(raw, CInt(events)) == 0 && descriptor >= 0 }

    /// Puts a call into libnfs's queue. False when libnfs cannot encode it, and then no callback comes.
    func send(
        _ call: NFSCall, as wire: any NFSWire, into room: NFSReadRoom?, callback: rpc_cb?,
        context: UnsafeMutableRawPointer
    ) -> Bool { wire.send(call, over: self, into: room, callback: callback, context: context) }
}
#endif
