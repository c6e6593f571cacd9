// SPDX-License-Identifier: Apache-2.0

/// A point in time in the kernel's representation.
public struct Timestamp: Hashable, Sendable {
    /// Seconds since 1970-01-01T00:00:00Z; may be negative.
    public var seconds: Int64
    /// Nanoseconds to add, 0 to 999,999,999.
    public var nanoseconds: UInt32

    /// Creates a point in time from seconds and nanoseconds.
    public init(seconds: Int64, nanoseconds: UInt32 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }
}
