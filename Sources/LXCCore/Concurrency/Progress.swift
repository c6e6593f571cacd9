// SPDX-License-Identifier: Apache-2.0

/// The progress of a long operation.
public struct TransferProgress: Hashable, Sendable {
    /// Entries of the tree done so far; 0 where the operation moves one file.
    public var entries: UInt64
    /// The contents done so far.
    public var transferred: ByteCount
    /// All of the contents, where that is known in advance.
    public var total: ByteCount?

    /// Creates a progress value.
    public init(entries: UInt64 = 0, transferred: ByteCount = ByteCount(0), total: ByteCount? = nil) {
        self.entries = entries
        self.transferred = transferred
        self.total = total
    }
}

/// Receives progress, at most ten times a second and once at the end, on a thread of the operation: return quickly.
public typealias ProgressHandler = @Sendable (TransferProgress) -> Void

/// Calls a handler at most ten times a second.
///
/// Used by one thread at a time. Reading the clock costs more than a small file, so the clock is read at each 64th
/// report and after each MiB.
public struct ProgressReporter {
    private let handler: ProgressHandler?
    private let clock = ContinuousClock()
    private var last: ContinuousClock.Instant
    private var sinceClock = 0
    private var bytesAtClock: UInt64 = 0

    /// Creates a reporter that calls the handler; without one it does nothing.
    public init(_ handler: ProgressHandler?) {
        self.handler = handler
        last = clock.now
    }

    /// Reports unless the last report is under 100 ms old.
    public mutating func report(_ progress: @autoclosure () -> TransferProgress) {
        guard let handler else { return }
        sinceClock += 1
        let now = progress()
        guard sinceClock >= 64 || now.transferred.bytes &- bytesAtClock >= 1 << 20 else { return }
        sinceClock = 0
        bytesAtClock = now.transferred.bytes
        let instant = clock.now
        guard instant - last >= .milliseconds(100) else { return }
        last = instant
        handler(now)
    }

    /// Reports the end, always.
    public func finish(_ progress: TransferProgress) {
        handler?(progress)
    }
}
