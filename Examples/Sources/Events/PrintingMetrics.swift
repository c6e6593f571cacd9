// SPDX-License-Identifier: Apache-2.0

import CoreMetrics

/// A metrics backend that prints every value. Documentation/Observability.md lists the labels.
struct PrintingMetrics: MetricsFactory {
    final class Handler: CounterHandler, RecorderHandler, TimerHandler {
        let name: String

        init(_ label: String, _ dimensions: [(String, String)]) {
            name = label + "{" + dimensions.map { "\($0)=\($1)" }.joined(separator: ",") + "}"
        }

        func increment(by amount: Int64) { print("metric: \(name) +\(amount)") }
        func reset() {}
        func record(_ value: Int64) { print("metric: \(name) \(value)") }
        func record(_ value: Double) { print("metric: \(name) \(value)") }
        func recordNanoseconds(_ duration: Int64) { print("metric: \(name) \(Double(duration) / 1e9) s") }
    }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler { Handler(label, dimensions) }

    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        Handler(label, dimensions)
    }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler { Handler(label, dimensions) }

    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}
}
