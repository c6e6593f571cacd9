// SPDX-License-Identifier: Apache-2.0

extension Duration {
    /// Whole nanoseconds, or the most a value holds; nothing for less than none.
    package var wholeNanoseconds: UInt64 { whole(of: 1_000_000_000) }

    /// Whole microseconds, or the most a value holds; nothing for less than none.
    package var wholeMicroseconds: UInt64 { whole(of: 1_000_000) }

    private func whole(of unitsPerSecond: Int64) -> UInt64 {
        guard self > .zero else { return 0 }
        let parts = components
        let (units, overflow) = UInt64(parts.seconds).multipliedReportingOverflow(by: UInt64(unitsPerSecond))
        let (sum, carry) = units.addingReportingOverflow(
            UInt64(parts.attoseconds / (1_000_000_000_000_000_000 / unitsPerSecond)))
        return overflow || carry ? .max : sum
    }
}
