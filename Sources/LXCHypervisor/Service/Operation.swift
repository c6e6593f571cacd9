// SPDX-License-Identifier: Apache-2.0

import LXCCore
import Logging
import Metrics
import Tracing

/// The observability of one public operation: a span, a count, a duration, and a log line if it fails.
enum Operation {
    static func run<Value>(
        _ name: String, _ subject: String, _ logger: Logger, _ body: () async throws -> Value
    ) async throws -> Value {
        let clock = ContinuousClock()
        let start = clock.now
        return try await withSpan("lxc.\(name)") { span in
            span.attributes["lxc.subject"] = subject
            do {
                let value = try await body()
                record(name, "success", clock.now - start)
                return value
            } catch {
                record(name, error is CancellationError ? "cancelled" : "failure", clock.now - start)
                logger.info(
                    "operation failed",
                    metadata: ["operation": "\(name)", "subject": "\(subject)", "error": "\(error)"])
                throw naming(subject, of: name, error)
            }
        }
    }

    /// The error with a message that names the subject of the operation: a store speaks of volumes, and libvirt of
    /// domains, by names the caller may never have seen.
    private static func naming(_ subject: String, of operation: String, _ error: any Error) -> any Error {
        guard let error = error as? LXCError, let kind = kinds[operation.prefix { $0 != "." }],
            !error.message.split(whereSeparator: { !"-_./".contains($0) && !$0.isLetter && !$0.isNumber })
                .contains(Substring(subject))
        else { return error }
        let place = error.location.split(separator: ":")
        return LXCError(
            error.code, "\(kind) \(subject): \(error.message)", cause: error.cause,
            fileID: place.first.map(String.init) ?? error.location, line: place.last.flatMap { Int($0) } ?? 0)
    }

    private static let kinds: [Substring: String] = [
        "container": "container", "vm": "system VM", "template": "template",
    ]

    private static func record(_ name: String, _ outcome: String, _ duration: Duration) {
        let dimensions = [("operation", name), ("outcome", outcome)]
        Counter(label: "lxc_operations_total", dimensions: dimensions).increment()
        Metrics.Timer(label: "lxc_operation_duration", dimensions: dimensions).record(duration: duration)
    }
}
