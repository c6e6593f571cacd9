// SPDX-License-Identifier: Apache-2.0

#if NFS
import CLinux
import Dispatch
import Glibc
import LXCCore
import LinuxSystem
import Synchronization

/// One version of NFS over one TCP connection at a time, with a thread of its own that is the only one to touch libnfs.
final class NFSConnection: NFSTransport {
    /// The calls that any thread passes to the connection's.
    final class Inbox: Sendable {
        struct State: Sendable {
            var calls: [PendingCall] = []
            var isClosing = false
            /// The inbox has no reader any more.
            var isClosed = false
            /// The thread was woken and has not looked yet.
            var isAwake = false
        }

        let state = Mutex(State())
        let descriptor: CInt

        init() throws {
            descriptor = clinux_make_wake_descriptor()
            guard descriptor >= 0 else { throw LXCError.lastSystemCall("eventfd", "start an NFS connection") }
        }

        deinit { Glibc.close(descriptor) }

        /// Makes the thread look, unless it will anyway. The lock is not held.
        func wake() {
            var one: UInt64 = 1
            // The counter cannot run over: it is read before the next number is written.
            _ = write(descriptor, &one, MemoryLayout<UInt64>.size)
        }
    }

    private let inbox: Inbox

    /// Starts the thread. It connects when the first call comes.
    init(
        _ endpoint: NFSEndpoint, _ wire: any NFSWire, _ options: NFSClientOptions, _ counting: NFSCounting
    ) throws {
        let inbox = try Inbox()
        self.inbox = inbox
        // libnfs decodes the entries of a directory by recursion, and a server decides the number of entries in a
        // reply. This is address space, not memory.
        SystemThread.detach("lxc-nfs", stackSize: 64 << 20) {
            NFSLoop(endpoint, wire, options, inbox, counting).run()
        }
    }

    deinit { close() }

    func submit(
        _ call: NFSCall, cancellation: Cancellation?, completion: @escaping @Sendable (NFSOutcome) -> Void
    ) {
        let pending = PendingCall(call, cancellation, completion)
        let (isTaken, wakes) = inbox.state.withLock { state in
            guard !state.isClosed, !state.isClosing else { return (false, false) }
            state.calls.append(pending)
            defer { state.isAwake = true }
            return (true, !state.isAwake)
        }
        if wakes { inbox.wake() }
        // Never on the caller's thread, which may hold a lock that the completion takes.
        if !isTaken { DispatchQueue.global().async { pending.complete(.failure(.failed(NFSLoop.closed))) } }
    }

    func close() {
        inbox.state.withLock { $0.isClosing = true }
        inbox.wake()
    }
}

/// The service and the user to connect as.
struct NFSEndpoint: Sendable {
    var server: String
    var port: UInt16?
    var user: UInt32
    var group: UInt32
}
#endif
