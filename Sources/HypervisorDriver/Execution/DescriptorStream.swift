// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem
import Synchronization

/// One end of a pipe, of a socket or of a terminal, read and written without blocking a thread.
final class DescriptorStream: Sendable {
    /// The maximum size of one read: the capacity of a pipe.
    private static let chunkSize = 64 << 10

    /// An open descriptor shared by its present users.
    private final class Shared: Sendable {
        let descriptor: Descriptor
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    }

    private struct State {
        var shared: Shared?
        /// The number of bytes still to be read; nil while unlimited.
        var remaining: Int?
        /// The reader's wait.
        var reading: UInt64?
    }

    private let state: Mutex<State>
    private let loop: ReadinessLoop

    /// Creates a stream that owns a descriptor.
    ///
    /// - Throws: `LXCError` `io`.
    init(_ descriptor: consuming Descriptor) throws {
        guard clinux_set_nonblocking(descriptor.raw) == 0 else {
            throw LXCError.lastSystemCall("fcntl", "prepare the streams of a command")
        }
        loop = try ReadinessLoop.shared.get()
        state = Mutex(State(shared: Shared(descriptor)))
    }

    /// Reads the available bytes, and waits while there are none; empty at the end.
    func read() async throws -> [UInt8] {
        let bytes = try await use(.read) { descriptor -> [UInt8]? in
            let size = min(state.withLock { $0.remaining } ?? .max, Self.chunkSize)
            guard size > 0 else { return [] }
            var length = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                length = Glibc.read(descriptor, buffer.baseAddress, size)
                count = max(0, length)
            }
            if length >= 0 {
                state.withLock { state in state.remaining = state.remaining.map { $0 - length } }
                return bytes
            }
            switch errno {
            case EAGAIN, EINTR: return nil
            case EIO: return []  // A terminal whose other end is closed.
            default: throw LXCError.lastSystemCall("read", "read what a command writes")
            }
        }
        return bytes ?? []
    }

    /// Ends the stream for the reader: bytes available now can still be read, nothing after them, although others can
    /// write.
    func finish() {
        let reading = state.withLock { state -> UInt64? in
            guard let shared = state.shared, state.remaining == nil else { return nil }
            let pending = Int(clinux_pending(shared.descriptor.raw))
            state.remaining = pending >= 0 ? pending : Self.chunkSize
            return state.reading
        }
        if let reading { loop.giveUp(reading) }
    }

    /// Receives one message; nil at the end.
    func receive(_ size: Int) async throws -> (bytes: [UInt8], descriptor: Int32)? {
        try await use(.read) { socket in
            var descriptor: Int32 = -1
            var buffer = [UInt8](repeating: 0, count: size)
            let count = clinux_receive(socket, &buffer, size, &descriptor)
            if count >= 0 { return (Array(buffer[..<count]), descriptor) }
            if errno == EAGAIN || errno == EINTR { return nil }
            throw LXCError.lastSystemCall("recvmsg", "hear of a command")
        }
    }

    /// Writes all bytes, and waits while the other end accepts no more.
    func write(_ bytes: [UInt8]) async throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let pending = rest
            let count = try await use(.write) { descriptor -> Int? in
                let count = pending.withUnsafeBytes { clinux_write(descriptor, $0.baseAddress, $0.count) }
                if count >= 0 { return count }
                switch errno {
                case EAGAIN, EINTR: return nil
                case EPIPE, EIO: throw LXCError(.invalidState, "the command reads no more")
                default: throw LXCError.lastSystemCall("write", "write to a command")
                }
            }
            guard let count else { throw LXCError(.invalidState, "the command reads no more") }
            rest = rest.dropFirst(count)
        }
    }

    /// Uses the descriptor without waiting; nil if it is closed.
    func withDescriptor<Value>(_ body: (CInt) throws -> Value) rethrows -> Value? {
        guard let shared = state.withLock({ $0.shared }) else { return nil }
        return try body(shared.descriptor.raw)
    }

    /// Closes the descriptor once no wait uses it any more.
    func close() { state.withLock { $0.shared = nil } }

    /// Tries, and tries again whenever the descriptor is ready; nil when it is closed.
    private func use<Value>(
        _ direction: ReadinessLoop.Direction, _ attempt: (CInt) throws -> Value?
    ) async throws -> Value? {
        while true {
            try Task.checkCancellation()
            guard let shared = state.withLock({ $0.shared }) else { return nil }
            if let value = try attempt(shared.descriptor.raw) { return value }
            let ticket = loop.ticket()
            let isFinished = state.withLock { state in
                guard direction == .read else { return false }
                state.reading = ticket
                return state.remaining != nil
            }
            if isFinished { return nil }
            await loop.wait(for: direction, of: shared.descriptor.raw, as: ticket)
            if direction == .read { state.withLock { $0.reading = nil } }
            withExtendedLifetime(shared) {}
        }
    }
}

/// The output of a command, chunk by chunk.
struct DescriptorOutput: AsyncSequence, Sendable {
    /// Nil is a stream with nothing in it.
    let stream: DescriptorStream?

    struct AsyncIterator: AsyncIteratorProtocol {
        let stream: DescriptorStream?

        mutating func next() async throws -> [UInt8]? {
            guard let bytes = try await stream?.read(), !bytes.isEmpty else { return nil }
            return bytes
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(stream: stream) }
}
