import CLinux
import FileTree
import Glibc
import LXCCore
import Synchronization

/// One end of a pipe, of a socket or of a terminal, read and written without blocking a thread.
final class DescriptorStream: Sendable {
    /// What one read takes at most: as much as a pipe holds.
    private static let chunkSize = 64 << 10

    /// An open descriptor that is shared by those who use it right now.
    private final class Shared: Sendable {
        let descriptor: Descriptor
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    }

    private let shared: Mutex<Shared?>
    private let loop: ReadinessLoop

    /// Takes a descriptor over.
    ///
    /// - Throws: `LXCError` `io`.
    init(_ descriptor: consuming Descriptor) throws {
        guard clinux_set_nonblocking(descriptor.raw) == 0 else {
            throw LXCError.lastSystemCall("fcntl", "prepare the streams of a command")
        }
        loop = try ReadinessLoop.shared.get()
        shared = Mutex(Shared(descriptor))
    }

    /// Reads what is there, and waits while nothing is; empty at the end.
    func read() async throws -> [UInt8] {
        let bytes = try await use(.read) { descriptor -> [UInt8]? in
            var length = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: Self.chunkSize) { buffer, count in
                length = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
                count = max(0, length)
            }
            if length >= 0 { return bytes }
            switch errno {
            case EAGAIN, EINTR: return nil
            case EIO: return []  // A terminal whose other end is closed.
            default: throw LXCError.lastSystemCall("read", "read what a command writes")
            }
        }
        return bytes ?? []
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

    /// Writes all of it, and waits while the other end takes no more.
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

    /// Does something with the descriptor at once; nil when it is closed.
    func withDescriptor<Value>(_ body: (CInt) throws -> Value) rethrows -> Value? {
        guard let shared = shared.withLock({ $0 }) else { return nil }
        return try body(shared.descriptor.raw)
    }

    /// Lets go of it; it is closed once nobody waits on it any more.
    func close() { shared.withLock { $0 = nil } }

    /// Tries, and tries again whenever the descriptor is ready; nil when it is closed.
    private func use<Value>(
        _ direction: ReadinessLoop.Direction, _ attempt: (CInt) throws -> Value?
    ) async throws -> Value? {
        while true {
            try Task.checkCancellation()
            guard let shared = shared.withLock({ $0 }) else { return nil }
            if let value = try attempt(shared.descriptor.raw) { return value }
            await loop.wait(for: direction, of: shared.descriptor.raw)
            withExtendedLifetime(shared) {}
        }
    }
}

/// What a command writes, chunk by chunk.
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
