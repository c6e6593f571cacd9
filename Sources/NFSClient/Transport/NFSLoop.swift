// SPDX-License-Identifier: Apache-2.0

#if NFS
import CLibNFS
import Glibc
import LXCCore
import Synchronization

/// The loop of a connection's thread.
///
/// Calls wait in `waiting` until the window has room, then in `sent` until their reply. libnfs drops sent calls when a
/// connection breaks; this loop keeps them and resends them over the next one.
final class NFSLoop: @unchecked Sendable {
    // @unchecked: every method is called on the connection's thread.
    static let closed = LXCError(.unavailable, "the NFS connection was closed")
    /// The interval of checks for cancelled and overdue calls while there are any calls.
    private static let tick = Duration.milliseconds(40)
    private static let firstPause = Duration.milliseconds(50)
    private static let longestPause = Duration.seconds(2)

    private let endpoint: NFSEndpoint
    private let wire: any NFSWire
    private let options: NFSClientOptions
    private let inbox: NFSConnection.Inbox
    private let counting: NFSCounting
    private var context: RPCContext?
    private var state: State
    private var waiting = CallQueue()
    private var sent: [UInt64: PendingCall] = [:]
    private var sentBytes = 0
    /// Calls the server asked to be made again later.
    private var postponed: [(due: ContinuousClock.Instant, call: PendingCall)] = []
    private var lastSerial: UInt64 = 0
    private var now = ContinuousClock.now
    private var lastCheck = ContinuousClock.now
    /// Calls that libnfs dropped while it served the socket, with its reasons.
    private var abandoned: [(call: PendingCall, problem: String, status: CInt)] = []
    /// The reason why the service refuses the connection being made.
    private var refusal: String?
    private var isEndingContext = false
    private var problem = "not connected"

    private enum State {
        /// The time of the disconnection, the time of the next attempt, and the pause before it.
        case disconnected(since: ContinuousClock.Instant, retry: ContinuousClock.Instant, pause: Duration)
        case connecting(since: ContinuousClock.Instant, began: ContinuousClock.Instant, pause: Duration)
        case connected
    }

    init(
        _ endpoint: NFSEndpoint, _ wire: any NFSWire, _ options: NFSClientOptions, _ inbox: NFSConnection.Inbox,
        _ counting: NFSCounting
    ) {
        self.endpoint = endpoint
        self.wire = wire
        self.options = options
        self.inbox = inbox
        self.counting = counting
        let now = ContinuousClock.now
        state = .disconnected(since: now, retry: now, pause: Self.firstPause)
    }

    /// Serves until the connection is closed.
    func run() {
        while takeCalls() {
            now = ContinuousClock.now
            if now - lastCheck >= Self.tick { check() }
            connectIfNeeded()
            sendWaiting()
            wait()
        }
        end()
    }

    private var hasCalls: Bool { !waiting.isEmpty || !sent.isEmpty || !postponed.isEmpty }

    private func takeCalls() -> Bool {
        let (calls, isClosing) = inbox.state.withLock { inbox in
            defer {
                inbox.calls.removeAll(keepingCapacity: true)
                inbox.isAwake = false
            }
            return (inbox.calls, inbox.isClosing)
        }
        if !hasCalls, !calls.isEmpty, case .disconnected(_, let retry, let pause) = state {
            // The time a server was away while there were no calls does not count.
            state = .disconnected(since: ContinuousClock.now, retry: retry, pause: pause)
        }
        for call in calls {
            lastSerial += 1
            call.serial = lastSerial
        }
        waiting.append(calls)
        return !isClosing
    }

    /// Fails all calls, also later ones.
    private func end() {
        endContext()
        let late = inbox.state.withLock { inbox in
            inbox.isClosed = true
            defer { inbox.calls = [] }
            return inbox.calls
        }
        fail(.failed(Self.closed))
        for call in late { call.complete(.failure(.failed(Self.closed))) }
    }

    private func fail(_ failure: NFSFailure) {
        let calls = sent.values.sorted { $0.serial < $1.serial } + waiting.all + postponed.map(\.call)
        sent = [:]
        sentBytes = 0
        waiting = CallQueue()
        postponed = []
        for call in calls { call.complete(.failure(failure)) }
    }

    // MARK: Waiting

    private func wait() {
        var descriptors = [pollfd(fd: inbox.descriptor, events: Int16(POLLIN), revents: 0)]
        if let (descriptor, events) = socket { descriptors.append(pollfd(fd: descriptor, events: events, revents: 0)) }
        let count = poll(&descriptors, nfds_t(descriptors.count), hasCalls || isConnecting ? 40 : -1)
        guard count > 0 else { return }
        if descriptors[0].revents != 0 {
            var number: UInt64 = 0
            _ = read(inbox.descriptor, &number, MemoryLayout<UInt64>.size)
        }
        if descriptors.count > 1, descriptors[1].revents != 0 { serve(descriptors[1].revents) }
    }

    private var socket: (CInt, Int16)? {
        guard context != nil else { return nil }
        let (descriptor, events) = (context?.descriptor ?? -1, context?.events ?? 0)
        return descriptor >= 0 ? (descriptor, events) : nil
    }

    private var isConnecting: Bool {
        if case .connecting = state { return true }
        return false
    }

    private func serve(_ events: Int16) {
        let isAlive = context?.service(events) ?? false
        // Replies may have come before the end, so the end is looked at last.
        let gone = abandoned
        abandoned = []
        if let refusal { return disconnect(refusal) }
        guard isAlive else { return disconnect(context?.problem ?? "no connection") }
        for (call, problem, status) in gone { refuse(call, problem, status) }
    }

    // MARK: Connecting

    private func connectIfNeeded() {
        guard case .disconnected(let since, let retry, let pause) = state, hasCalls, now >= retry else { return }
        state = .connecting(since: since, began: now, pause: pause)
        do {
            context = try RPCContext(user: endpoint.user, group: endpoint.group)
        } catch {
            return disconnect("\(error)")
        }
        let own = Unmanaged.passUnretained(self).toOpaque()
        let isUnderWay = context?.connect(
            to: endpoint.server, port: endpoint.port, program: CInt(NFS_PROGRAM), version: wire.version,
            callback: { _, status, data, loop in
                guard let loop else { return }
                Unmanaged<NFSLoop>.fromOpaque(loop).takeUnretainedValue().didConnect(status, data)
            }, context: own)
        if isUnderWay != true { disconnect(context?.problem ?? "no connection") }
    }

    private func didConnect(_ status: CInt, _ data: UnsafeMutableRawPointer?) {
        guard !isEndingContext, case .connecting = state else { return }
        guard status == CInt(RPC_STATUS_SUCCESS) else {
            refusal =
                data.map { String(cString: $0.assumingMemoryBound(to: CChar.self)).escapedForDisplay }
                ?? "the connection was refused"
            return
        }
        context?.disableDelay()
        counting.count { $0.connections += 1 }
        state = .connected
    }

    /// Ends a broken connection, and lets its calls wait for the next.
    private func disconnect(_ problem: String) {
        self.problem = problem
        endContext()
        switch state {
        case .connected: state = .disconnected(since: now, retry: now, pause: Self.firstPause)
        case .connecting(let since, _, let pause), .disconnected(let since, _, let pause):
            state = .disconnected(since: since, retry: now + pause, pause: min(pause * 2, Self.longestPause))
        }
        let calls = sent.values.filter { !$0.isCompleted }.sorted { $0.serial < $1.serial }
        sent = [:]
        sentBytes = 0
        waiting.prepend(calls.filter(\.call.isRepeatable))
        let failure = LXCError(
            .unavailable,
            "the connection to the NFS server \(endpoint.server.escapedForDisplay) broke before its answer came: "
                + problem)
        for call in calls where !call.call.isRepeatable { call.complete(.failure(.unanswered(failure))) }
    }

    /// libnfs calls back for everything it still has; that is not how those calls end.
    private func endContext() {
        isEndingContext = true
        context = nil
        isEndingContext = false
        abandoned = []
        refusal = nil
    }

    // MARK: Sending and receiving

    private func sendWaiting() {
        guard case .connected = state else { return }
        var hasSent = false
        while let call = waiting.first, hasRoom(for: call) {
            waiting.removeFirst()
            guard !call.isCompleted else { continue }
            call.attempts += 1
            if call.attempts > 1 { counting.count { $0.repetitions += 1 } }
            call.firstSent = call.firstSent ?? now
            call.lastSent = now
            sent[call.serial] = call
            sentBytes += call.call.payload
            send(call)
            hasSent = true
        }
        // The socket mostly has room, so asking poll(2) first would be one call more for nothing.
        if hasSent { serve(Int16(POLLOUT)) }
    }

    private func hasRoom(for call: PendingCall) -> Bool {
        guard !sent.isEmpty else { return true }
        return sent.count < options.window && sentBytes + call.call.payload <= options.windowBytes
    }

    private func send(_ call: PendingCall) {
        call.loop = self
        let retained = Unmanaged.passRetained(call)
        let isQueued = context?.send(
            call.call, as: wire, into: call.room,
            callback: { _, status, data, call in
                guard let call else { return }
                let pending = Unmanaged<PendingCall>.fromOpaque(call).takeRetainedValue()
                pending.loop?.receive(pending, status, data)
            }, context: retained.toOpaque())
        guard isQueued != true else { return }
        retained.release()
        remove(call)
        call.complete(
            .failure(.failed(LXCError(.invalidArgument, "\(call.call.procedure) cannot be encoded"))))
    }

    private func receive(_ call: PendingCall, _ status: CInt, _ data: UnsafeMutableRawPointer?) {
        guard !isEndingContext else { return }
        guard status == CInt(RPC_STATUS_SUCCESS), let data else {
            // Whether this is the server's answer or the end of the connection shows when libnfs returns.
            let text = data.map { String(cString: $0.assumingMemoryBound(to: CChar.self)).escapedForDisplay }
            abandoned.append((call, text ?? "the call was given up", status))
            return
        }
        remove(call)
        counting.count { $0.answers += 1 }
        let result = wire.reply(to: call.call, data, in: call.room)
        if case .failure(let failure) = result, failure.status == .tryLater, call.call.isUnnumbered, !isOverdue(call) {
            postponed.append((now + .milliseconds(200), call))
        } else {
            call.complete(result)
        }
    }

    /// A call the server's RPC layer did not take: bad credentials, no such procedure.
    private func refuse(_ call: PendingCall, _ problem: String, _ status: CInt) {
        remove(call)
        call.complete(
            .failure(.failed(LXCError(.unavailable, "the NFS server refused \(call.call.procedure): \(problem)"))))
    }

    private func remove(_ call: PendingCall) {
        if sent.removeValue(forKey: call.serial) != nil { sentBytes -= call.call.payload }
        call.loop = nil
    }

    // MARK: Time

    private func isOverdue(_ call: PendingCall) -> Bool {
        call.firstSent.map { now - $0 >= options.giveUp } ?? false
    }

    private func check() {
        lastCheck = now
        dropCancelled()
        let due = postponed.filter { $0.due <= now }.map(\.call)
        if !due.isEmpty {
            postponed.removeAll { $0.due <= now }
            waiting.append(due)
        }
        giveUpOverdue()
        let limit = options.callTimeout
        switch state {
        case .connected:
            if sent.values.contains(where: { $0.lastSent.map { now - $0 >= limit } ?? false }) {
                disconnect("no reply within \(limit)")
            }
        case .connecting(let since, let began, _):
            if now - began >= min(limit, .seconds(15)) { disconnect("the server does not answer") }
            failIfAway(since)
        case .disconnected(let since, _, _): failIfAway(since)
        }
    }

    private func dropCancelled() {
        waiting.removeAll { call in
            guard call.cancellation?.isCancelled == true else { return false }
            call.complete(.failure(.cancelled))
            return true
        }
        postponed.removeAll { _, call in
            guard call.cancellation?.isCancelled == true else { return false }
            call.complete(.failure(.cancelled))
            return true
        }
        // A sent call stays in the window until the server answers: the server may be executing it.
        for call in sent.values where call.cancellation?.isCancelled == true { call.complete(.failure(.cancelled)) }
    }

    private func giveUpOverdue() {
        for call in sent.values where isOverdue(call) { call.complete(.failure(.failed(timeout(call)))) }
        waiting.removeAll { call in
            guard isOverdue(call) else { return false }
            call.complete(.failure(.failed(timeout(call))))
            return true
        }
    }

    private func timeout(_ call: PendingCall) -> LXCError {
        LXCError(
            .timedOut,
            "the NFS server \(endpoint.server.escapedForDisplay) did not answer \(call.call.procedure) within "
                + "\(options.giveUp)")
    }

    /// A server unreachable for so long fails all calls.
    private func failIfAway(_ since: ContinuousClock.Instant) {
        guard hasCalls, now - since >= options.giveUp else { return }
        fail(
            .failed(
                LXCError(
                    .unavailable, "the NFS server \(endpoint.server.escapedForDisplay) cannot be reached: \(problem)")))
    }
}
#endif
