import Logging
import Metrics
import Tracing

/// One public operation seen from outside: a span, a count, a duration, and a log line when it fails.
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
                throw error
            }
        }
    }

    private static func record(_ name: String, _ outcome: String, _ duration: Duration) {
        let dimensions = [("operation", name), ("outcome", outcome)]
        Counter(label: "lxc_operations_total", dimensions: dimensions).increment()
        Metrics.Timer(label: "lxc_operation_duration", dimensions: dimensions).record(duration: duration)
    }
}
