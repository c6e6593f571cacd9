// SPDX-License-Identifier: Apache-2.0

import CLibvirt
import LXCCore

/// One open libvirt connection.
///
/// A class and not a `~Copyable` value because calls in flight on several threads share it: libvirt's connections may
/// be used from any thread, and the last user closes it.
final class ConnectionHandle: @unchecked Sendable {
    // @unchecked: `raw` never changes and libvirt locks the object behind it; the rest is Sendable.
    let raw: virConnectPtr
    /// The URI as it may be shown.
    let displayURI: String
    /// Settles when the daemon goes away or the connection is closed here.
    let end = ConnectionEnd()
    /// The lifecycle events of the connection.
    let lifecycle = LifecycleEventHub()

    /// Connects on a thread of its own, which hangs for as long as the daemon does.
    static func open(_ uri: String, _ keepAlive: LibvirtConnection.KeepAlive?) async throws -> ConnectionHandle {
        try await withCheckedThrowingContinuation { continuation in
            SystemThread.detach("libvirt-open") {
                continuation.resume(with: Result { try ConnectionHandle(uri: uri, keepAlive: keepAlive) })
            }
        }
    }

    /// Connects; blocks.
    ///
    /// - Throws: `unavailable` if nothing answers there, `permissionDenied` if access is refused.
    init(uri: String, keepAlive: LibvirtConnection.KeepAlive?) throws(LXCError) {
        LibvirtLibrary.start()
        try requireNoNUL(uri, "the libvirt URI")
        displayURI = Locator(uri).description
        guard let raw = virConnectOpen(uri) else { throw Self.openFailure(displayURI) }
        self.raw = raw
        if let keepAlive {
            // Drivers inside the process have no keepalive and need none: a failure here is harmless.
            virConnectSetKeepAlive(raw, keepAlive.interval, keepAlive.count)
            virResetLastError()
        }
        watchForLoss()
    }

    deinit {
        // Closing calls the daemon, which may hang, and the last reference may be dropped on any thread.
        let closing = Closing(raw: raw, lifecycle: lifecycle)
        SystemThread.detach("libvirt-close") {
            closing.detach()
            virConnectClose(closing.raw)
        }
    }

    /// Whether calls can still succeed. Asks the library, not the daemon, so it is quick.
    var isAlive: Bool { !end.hasCome && virConnectIsAlive(raw) == 1 }

    /// Ends everything that hangs on the connection; libvirt closes it once calls in flight are done.
    func close() {
        end.come(LXCError(.unavailable, "the connection to \(displayURI) was closed"))
        // This object lives until the registrations are taken back, and calls in flight have ended.
        SystemThread.detach("libvirt-close") { [self] in Closing(raw: raw, lifecycle: lifecycle).detach() }
    }

    /// Runs `body`, and reports when the connection failed and not the operation.
    func run<Value>(_ body: (virConnectPtr) throws -> Value) throws -> Value {
        do {
            return try body(raw)
        } catch let error as LXCError where error.cause is LibvirtError && virConnectIsAlive(raw) != 1 {
            throw LXCError(
                .unavailable,
                "\(error.message): the connection to \(displayURI) was lost; try again, and check that "
                    + "the daemon runs", cause: error.cause)
        }
    }

    private func watchForLoss() {
        let watch = Unmanaged.passRetained(LossWatch(end: end, displayURI: displayURI))
        let result = virConnectRegisterCloseCallback(raw, onConnectionClosed, watch.toOpaque()) { opaque in
            if let opaque { Unmanaged<LossWatch>.fromOpaque(opaque).release() }
        }
        if result < 0 {
            // Drivers that run inside the process are never lost, and refuse the callback without releasing it.
            watch.release()
            virResetLastError()
        }
    }

    private static func openFailure(_ uri: String) -> LXCError {
        let cause = LibvirtError.takeLast()
        if cause?.lxcCode == .permissionDenied {
            return LXCError(
                .permissionDenied, "libvirt at \(uri) refused this user; run as root or join the group libvirt",
                cause: cause)
        }
        return LXCError(
            .unavailable,
            "cannot connect to libvirt at \(uri); check the URI, and that libvirtd with its driver is "
                + "installed and running", cause: cause)
    }
}

/// The libvirt objects to free with a connection. Freeing asks the daemon, so it blocks.
private struct Closing: @unchecked Sendable {
    // @unchecked: libvirt locks the object behind the pointer.
    let raw: virConnectPtr
    let lifecycle: LifecycleEventHub

    /// libvirt's registrations hold the connection open, so they go before it can.
    func detach() {
        lifecycle.unregister(from: raw)
        virConnectUnregisterCloseCallback(raw, onConnectionClosed)
        virResetLastError()
    }
}

/// The state of the close callback, which does not retain the connection it watches.
private final class LossWatch: Sendable {
    let end: ConnectionEnd
    let displayURI: String

    init(end: ConnectionEnd, displayURI: String) {
        self.end = end
        self.displayURI = displayURI
    }
}

private func onConnectionClosed(_: virConnectPtr?, reason: Int32, opaque: UnsafeMutableRawPointer?) {
    guard let opaque else { return }
    let watch = Unmanaged<LossWatch>.fromOpaque(opaque).takeUnretainedValue()
    let why =
        switch virConnectCloseReason(rawValue: UInt32(bitPattern: reason)) {
        case VIR_CONNECT_CLOSE_REASON_EOF: "the daemon closed it"
        case VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "the daemon stopped answering"
        case VIR_CONNECT_CLOSE_REASON_CLIENT: "it was closed here"
        default: "an I/O error"
        }
    watch.end.come(LXCError(.unavailable, "the connection to \(watch.displayURI) ended: \(why)"))
}
