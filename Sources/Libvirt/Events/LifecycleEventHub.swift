// SPDX-License-Identifier: Apache-2.0

import CLibvirt
import FoundationEssentials
import LXCCore
import Synchronization

/// Distributes one connection's lifecycle events to its streams.
///
/// libvirt accepts a C callback only once per connection, so there is one registration, made for the first stream and
/// kept until the connection ends.
final class LifecycleEventHub: Sendable {
    typealias Continuation = AsyncThrowingStream<DomainEvent, any Error>.Continuation

    /// The maximum number of events that wait for a slow reader.
    static let backlog = 4096

    private struct Readers {
        var next = 0
        var all: [Int: Continuation] = [:]
    }

    /// Held while the daemon is asked, so never on libvirt's event loop: a daemon that hangs would hold up every connection
    /// of the program.
    private let registration = Mutex<Int32?>(nil)
    private let readers = Mutex(Readers())

    /// Adds a stream.
    func subscribe(on handle: ConnectionHandle) throws -> AsyncThrowingStream<DomainEvent, any Error> {
        let (stream, continuation) = AsyncThrowingStream<DomainEvent, any Error>.makeStream(
            bufferingPolicy: .bufferingOldest(Self.backlog))
        try registration.withLock { if $0 == nil { $0 = try handle.run(register) } }
        let id = readers.withLock { readers in
            readers.next += 1
            readers.all[readers.next] = continuation
            return readers.next
        }
        let notice = handle.end.notify { continuation.finish(throwing: $0) }
        let end = handle.end
        continuation.onTermination = { [weak self] _ in
            end.forget(notice)
            self?.drop(id)
        }
        return stream
    }

    /// Cancels the registration, which holds the connection open; blocks until the daemon answers.
    func unregister(from connection: virConnectPtr) {
        registration.withLock { registration in
            guard let number = registration.take() else { return }
            virConnectDomainEventDeregisterAny(connection, number)
            virResetLastError()
        }
    }

    private func register(_ connection: virConnectPtr) throws(LXCError) -> Int32 {
        let hub = Unmanaged.passRetained(self)
        let id = clibvirt_on_lifecycle(connection, onLifecycleEvent, hub.toOpaque()) { opaque in
            if let opaque { Unmanaged<LifecycleEventHub>.fromOpaque(opaque).release() }
        }
        if id < 0 {
            hub.release()
            throw .lastLibvirt("subscribe to lifecycle events")
        }
        return id
    }

    private func drop(_ id: Int) {
        // The continuation is released outside the lock: its end may run foreign code.
        let dropped = readers.withLock { $0.all.removeValue(forKey: id) }
        withExtendedLifetime(dropped) {}
    }

    fileprivate func deliver(_ event: DomainEvent) {
        for reader in readers.withLock({ Array($0.all.values) }) {
            guard case .dropped = reader.yield(event) else { continue }
            reader.finish(
                throwing: LXCError(
                    .limitExceeded,
                    "the reader of the lifecycle events is \(Self.backlog) events behind; list the "
                        + "domains and subscribe again"))
        }
    }
}

private func onLifecycleEvent(
    _: virConnectPtr?, domain: virDomainPtr?, event: Int32, detail: Int32, opaque: UnsafeMutableRawPointer?
) -> Int32 {
    guard let opaque, let domain, let name = virDomainGetName(domain) else { return 0 }
    var bytes: uuid_t = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    withUnsafeMutableBytes(of: &bytes) { buffer in
        buffer.withMemoryRebound(to: UInt8.self) { _ = virDomainGetUUID(domain, $0.baseAddress) }
    }
    let id = virDomainGetID(domain)
    Unmanaged<LifecycleEventHub>.fromOpaque(opaque).takeUnretainedValue().deliver(
        DomainEvent(
            name: String(cString: name), uuid: UUID(uuid: bytes), id: id == .max ? nil : Int32(bitPattern: id),
            kind: DomainEvent.Kind(event), detail: detail))
    return 0
}
