// SPDX-License-Identifier: Apache-2.0

import CCurl
import FoundationEssentials

/// Determines the wait before the next try.
struct RetryPolicy {
    /// The longest wait of our own.
    private static let longestDelay = Duration.seconds(60)
    /// The longest wait a server gets.
    private static let longestRequest = Duration.seconds(120)

    /// The wait before the first retry.
    let base: Duration

    /// The wait before retry number `number`, the first being 1; `chance` from 0 to 1 shortens it by up to a half, so
    /// that clients which failed together do not come again together.
    func delay(before number: Int, asked: Duration?, chance: Double = .random(in: 0...1)) -> Duration {
        let doubled = base * (1 << min(number - 1, 30))
        let own = min(doubled, Self.longestDelay) * (1 - chance / 2)
        return max(own, min(asked ?? .zero, Self.longestRequest))
    }

    /// The wait requested by `Retry-After`: a number of seconds, or a date (RFC 9110, 10.2.3).
    static func wait(_ field: String?, now: Date = Date()) -> Duration? {
        guard let field else { return nil }
        if let seconds = Int64(field) { return seconds >= 0 ? .seconds(min(seconds, 86_400)) : nil }
        let date = curl_getdate(field, nil)
        guard date >= 0 else { return nil }
        return .seconds(max(0, min(Double(date) - now.timeIntervalSince1970, 86_400)))
    }
}
