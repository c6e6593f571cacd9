// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import Glibc
import Synchronization

/// A TCP proxy before one server that delays, loses and cuts what passes.
public final class FaultyProxy: Sendable {
    /// The present behaviour.
    public struct Faults: Sendable {
        /// The delay in each direction.
        public var delay = Duration.zero
        /// Whether replies are read and thrown away.
        public var losesReplies = false
        /// Whether new connections are closed immediately.
        public var refusesConnections = false
        /// The number of further bytes of replies after which their connection is cut, once.
        public var cutsRepliesAfter: Int?
    }

    private struct State {
        var faults = Faults()
        var connections: Set<CInt> = []
        var accepted = 0
        var lostBytes = 0
    }

    /// The port it listens on, on the loopback interface.
    public let port: UInt16
    private let listener: CInt
    private let server: (address: String, port: UInt16)
    private let state = Mutex(State())

    /// Listens for connections to a server, given by its address and port.
    public init(to address: String, port serverPort: UInt16) throws {
        server = (address, serverPort)
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var own = Self.address("127.0.0.1", 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &own) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 16) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard isBound else { throw CocoaError(.fileReadUnknown) }
        port = UInt16(bigEndian: own.sin_port)
        Thread.detachNewThread { [weak self] in
            while case let client = accept(listener, nil, nil), client >= 0 {
                guard let proxy = self else {
                    Glibc.close(client)
                    break
                }
                proxy.serve(client)
            }
            Glibc.close(listener)
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        cutConnections()
    }

    /// The number of connections made.
    public var accepted: Int { state.withLock { $0.accepted } }

    /// The number of bytes of replies dropped.
    public var lostBytes: Int { state.withLock { $0.lostBytes } }

    /// Changes the behaviour.
    public func change(_ body: (inout Faults) -> Void) { state.withLock { body(&$0.faults) } }

    /// Cuts every connection there is.
    public func cutConnections() {
        state.withLock { state in
            for descriptor in state.connections { shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
    }

    private func serve(_ client: CInt) {
        let refuses = state.withLock { state in
            state.accepted += 1
            return state.faults.refusesConnections
        }
        let upstream = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = Self.address(server.address, server.port)
        let isConnected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(upstream, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard !refuses, isConnected else {
            Glibc.close(client)
            Glibc.close(upstream)
            return
        }
        for descriptor in [client, upstream] {
            var on: CInt = 1
            setsockopt(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<CInt>.size))
        }
        state.withLock { $0.connections.formUnion([client, upstream]) }
        let open = Countdown(2)
        let finish: @Sendable () -> Void = { [weak self] in
            shutdown(client, Int32(SHUT_RDWR))
            shutdown(upstream, Int32(SHUT_RDWR))
            guard open.decrement() == 0 else { return }
            self?.state.withLock { $0.connections.subtract([client, upstream]) }
            Glibc.close(client)
            Glibc.close(upstream)
        }
        pump(client, upstream, areReplies: false, finish)
        pump(upstream, client, areReplies: true, finish)
    }

    /// Brings bytes from one socket to the other. With a delay they wait in a queue, so that it costs no throughput.
    private func pump(_ from: CInt, _ to: CInt, areReplies: Bool, _ finish: @escaping @Sendable () -> Void) {
        let queue = DelayQueue()
        Thread.detachNewThread { [weak self] in
            var buffer = [UInt8](repeating: 0, count: 256 << 10)
            while case let count = recv(from, &buffer, buffer.count, 0), count > 0 {
                guard let self else { break }
                let (delay, passes, isCut) = self.take(count, areReplies: areReplies)
                if passes > 0 { queue.push(Array(buffer[..<passes]), due: .now + delay) }
                if isCut { break }
            }
            queue.finish()
        }
        Thread.detachNewThread {
            while let bytes = queue.pop() {
                guard Self.send(bytes, to) else { break }
            }
            finish()
        }
    }

    /// The treatment of some bytes: their delay, the number that pass, and whether the connection ends with them.
    private func take(_ count: Int, areReplies: Bool) -> (Duration, Int, Bool) {
        state.withLock { state in
            let delay = state.faults.delay
            guard areReplies else { return (delay, count, false) }
            if state.faults.losesReplies {
                state.lostBytes += count
                return (delay, 0, false)
            }
            guard let left = state.faults.cutsRepliesAfter else { return (delay, count, false) }
            if count < left {
                state.faults.cutsRepliesAfter = left - count
                return (delay, count, false)
            }
            state.faults.cutsRepliesAfter = nil
            return (delay, left, true)
        }
    }

    private static func send(_ bytes: [UInt8], _ descriptor: CInt) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(
                    descriptor, $0.baseAddress.unsafelyUnwrapped + sent, bytes.count - sent,
                    Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    private static func address(_ text: String, _ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        inet_pton(AF_INET, text, &address.sin_addr)
        return address
    }
}

/// A number that several threads count down.
private final class Countdown: Sendable {
    private let number: Mutex<Int>

    init(_ number: Int) { self.number = Mutex(number) }

    func decrement() -> Int {
        number.withLock { number in
            number -= 1
            return number
        }
    }
}

/// Bytes that wait until their time has come.
private final class DelayQueue: @unchecked Sendable {
    // @unchecked: every access to the variables below holds `condition`.
    private let condition = NSCondition()
    private var chunks: [(bytes: [UInt8], due: ContinuousClock.Instant)] = []
    private var isFinished = false

    func push(_ bytes: [UInt8], due: ContinuousClock.Instant) {
        condition.withLock {
            chunks.append((bytes, due))
            condition.signal()
        }
    }

    func finish() {
        condition.withLock {
            isFinished = true
            condition.signal()
        }
    }

    func pop() -> [UInt8]? {
        condition.lock()
        while chunks.isEmpty, !isFinished { condition.wait() }
        guard !chunks.isEmpty else {
            condition.unlock()
            return nil
        }
        let chunk = chunks.removeFirst()
        condition.unlock()
        let wait = chunk.due - .now
        if wait > .zero { usleep(UInt32(wait / .microseconds(1))) }
        return chunk.bytes
    }
}
