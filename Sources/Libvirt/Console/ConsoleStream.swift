// SPDX-License-Identifier: Apache-2.0

import CLibvirt
import LXCCore
import Synchronization

/// A domain's console: iterate it for its output, write to it for its input.
///
/// - The output is for one reader. It ends when the domain stops or ``close()`` is called, and throws
///   `LXCError` `unavailable` when the connection is lost.
/// - 1024 chunks of at most 4096 bytes wait for a slow reader; beyond that the oldest are dropped and counted in
///   ``droppedByteCount``.
/// - ``write(_:)`` waits while the daemon accepts no more, which is until the guest reads. A guest that reads nothing
///   for about 15 seconds after much input costs the console: its connection then counts as lost.
/// - It has a connection of its own, so that it cannot hold up other calls. Dropping the last reference closes it.
public final class ConsoleStream: AsyncSequence, Sendable {
    /// Bytes as they came from the guest.
    public typealias Element = [UInt8]

    /// Walks over the output.
    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate var base: AsyncThrowingStream<[UInt8], any Error>.Iterator

        /// The next bytes; nil when the domain has stopped or the console was closed.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws -> [UInt8]? {
            try await base.next(isolation: actor)
        }
    }

    private let line: ConsoleLine

    /// Opens the console; blocks.
    init(uri: String, domain: String, device: String?, takingOver: Bool) throws {
        line = try ConsoleLine(uri: uri, domain: domain, device: device, takingOver: takingOver)
    }

    deinit {
        let line = line
        Task { await line.close() }
    }

    /// The output, from what has come since the last read.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(base: line.reader.output.makeAsyncIterator()) }

    /// The number of bytes of output dropped because they were not read in time.
    public var droppedByteCount: UInt64 { line.reader.droppedByteCount }

    /// Sends input; writes of one task arrive in order.
    ///
    /// - Throws: `LXCError` `invalidState` when the console has ended, `unavailable` when its connection was
    ///   lost. A cancelled task stops between two blocks of 4096 bytes.
    public func write(_ bytes: some Sequence<UInt8>) async throws { try await line.write(Array(bytes)) }

    /// Ends the output immediately, and returns when the connection is closed. May be called again.
    public func close() async { await line.close() }
}

/// The resources of a console: its own connection, the stream, and one thread that writes to it.
private final class ConsoleLine: @unchecked Sendable {
    // @unchecked: libvirt locks the object behind the stream's pointer, and only the one writing thread frees it.
    let reader: ConsoleReader
    private let shown: String
    private let connection: ConnectionHandle
    private let stream: virStreamPtr
    private let thread = BlockingPool(threads: 1)
    private let isFreed = Mutex(false)

    init(uri: String, domain: String, device: String?, takingOver: Bool) throws {
        let keepAlive = LibvirtConnection.KeepAlive(interval: 5, count: 2)
        let connection = try ConnectionHandle(uri: uri, keepAlive: keepAlive)
        let handle = try DomainHandle(named: domain, on: connection.raw)
        guard let stream = virStreamNew(connection.raw, UInt32(VIR_STREAM_NONBLOCK.rawValue)) else {
            throw LXCError.lastLibvirt("open the console of the \(handle.shown)")
        }
        let reader = ConsoleReader(shown: handle.shown)
        do {
            let flags = takingOver ? UInt32(VIR_DOMAIN_CONSOLE_FORCE.rawValue) : 0
            try handle.check(virDomainOpenConsole(handle.raw, device, stream, flags), "open the console of")
            try reader.attach(to: stream)
        } catch {
            virStreamFree(stream)
            throw error
        }
        self.connection = connection
        self.stream = stream
        self.reader = reader
        shown = handle.shown
        _ = connection.end.notify { [weak reader] in reader?.end(throwing: $0) }
    }

    func write(_ bytes: [UInt8]) async throws {
        try await thread.run { [self] cancellation in
            var rest = bytes[...]
            while !rest.isEmpty {
                try cancellation.check()
                if reader.hasEnded {
                    throw LXCError(.invalidState, "the console of the \(shown) has ended; open it again")
                }
                let sent = try connection.run { _ in try send(rest.prefix(ConsoleReader.chunkSize)) }
                rest = rest.dropFirst(sent)
            }
        }
    }

    private func send(_ bytes: ArraySlice<UInt8>) throws(LXCError) -> Int {
        let sent = bytes.withUnsafeBytes {
            virStreamSend(stream, $0.bindMemory(to: CChar.self).baseAddress, $0.count)
        }
        if sent == -2 {
            throw LXCError(.timedOut, "the console of the \(shown) takes no input now; write again later")
        }
        if sent < 0 { throw .lastLibvirt("write to the console of the \(shown)") }
        return Int(sent)
    }

    func close() async {
        reader.end()
        await withoutCancellation { [self] in try? await thread.run { [self] _ in free() } }
    }

    private func free() {
        let first = isFreed.withLock { isFreed in
            defer { isFreed = true }
            return !isFreed
        }
        guard first else { return }
        virStreamEventRemoveCallback(stream)
        virStreamAbort(stream)
        virStreamFree(stream)
        virResetLastError()
        connection.close()
    }
}

extension LibvirtConnection {
    /// Opens a domain's console, on a connection of its own.
    ///
    /// An LXC console has one output: of several readers each gets a part.
    ///
    /// - Parameters:
    ///   - domain: the domain's name.
    ///   - device: the alias of the console, such as `console0`; nil for the first.
    ///   - takingOver: whether another reader is cut off; only virtual machines know that.
    /// - Returns: the console, already receiving.
    /// - Throws: `LXCError` `notFound` when there is no such domain or device, `invalidState` when it does not
    ///   run.
    public func openConsole(
        of domain: String, device: String? = nil, takingOver: Bool = false
    ) async throws -> ConsoleStream {
        try requireNoNUL(domain, "the domain name")
        if let device { try requireNoNUL(device, "the device name") }
        let uri = uri.revealed
        return try await perform { (_: ConnectionHandle) in
            try ConsoleStream(uri: uri, domain: domain, device: device, takingOver: takingOver)
        }
    }
}
