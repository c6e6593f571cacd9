// SPDX-License-Identifier: Apache-2.0

import CLibvirt
import LXCCore
import Synchronization

/// Reads a console's output from libvirt, on the event loop's thread, and passes it on.
///
/// libvirt's client reads from the daemon whether or not the data is wanted, and buffers it without limit. So the
/// output is always read, and what exceeds a slow reader's buffer is dropped here, oldest first, and counted.
final class ConsoleReader: Sendable {
    /// The maximum number of bytes per read.
    static let chunkSize = 4096
    /// At most this many chunks wait for the reader: 4 MiB.
    static let backlog = 1024

    let output: AsyncThrowingStream<[UInt8], any Error>
    private let continuation: AsyncThrowingStream<[UInt8], any Error>.Continuation
    private let dropped = Atomic<UInt64>(0)
    private let ended = Atomic<Bool>(false)
    /// The domain, as errors show it.
    private let shown: String

    init(shown: String) {
        self.shown = shown
        (output, continuation) = AsyncThrowingStream.makeStream(bufferingPolicy: .bufferingNewest(Self.backlog))
    }

    /// Bytes dropped because they were not read in time.
    var droppedByteCount: UInt64 { dropped.load(ordering: .relaxed) }
    /// Whether no more output will come.
    var hasEnded: Bool { ended.load(ordering: .acquiring) }

    /// Ends the output; only the first call counts.
    func end(throwing error: (any Error)? = nil) {
        ended.store(true, ordering: .releasing)
        continuation.finish(throwing: error)
    }

    /// Registers a libvirt callback for output of `stream`; it retains this object until the callback is removed.
    func attach(to stream: virStreamPtr) throws(LXCError) {
        let reader = Unmanaged.passRetained(self)
        let events = VIR_STREAM_EVENT_READABLE.rawValue | Self.endings
        let result = virStreamEventAddCallback(stream, Int32(events), onStreamEvent, reader.toOpaque()) { opaque in
            if let opaque { Unmanaged<ConsoleReader>.fromOpaque(opaque).release() }
        }
        if result < 0 {
            reader.release()
            throw .lastLibvirt("watch the console of the \(shown)")
        }
    }

    private static let endings = VIR_STREAM_EVENT_HANGUP.rawValue | VIR_STREAM_EVENT_ERROR.rawValue

    fileprivate func receive(from stream: virStreamPtr, events: UInt32) {
        var chunk = [UInt8](repeating: 0, count: Self.chunkSize)
        let count = chunk.withUnsafeMutableBytes { buffer in
            virStreamRecv(stream, buffer.bindMemory(to: CChar.self).baseAddress, buffer.count)
        }
        switch count {
        case 1...:
            deliver(Array(chunk.prefix(Int(count))))
        case 0:
            finish(stream, nil)
        case -2:
            // Nothing there yet; after a hangup nothing will come.
            if events & Self.endings != 0 { finish(stream, nil) }
        default:
            finish(stream, LXCError.lastLibvirt("read the console of the \(shown)"))
        }
    }

    private func deliver(_ chunk: [UInt8]) {
        if case .dropped(let oldest) = continuation.yield(chunk) {
            dropped.add(UInt64(oldest.count), ordering: .relaxed)
        }
    }

    private func finish(_ stream: virStreamPtr, _ error: LXCError?) {
        end(throwing: error)
        virStreamEventRemoveCallback(stream)
        virResetLastError()
    }
}

private func onStreamEvent(_ stream: virStreamPtr?, events: Int32, opaque: UnsafeMutableRawPointer?) {
    guard let stream, let opaque else { return }
    let reader = Unmanaged<ConsoleReader>.fromOpaque(opaque).takeUnretainedValue()
    reader.receive(from: stream, events: UInt32(bitPattern: events))
}
