// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import LXCHypervisor
import OperatorSupport
import Synchronization

/// A bar on stderr for operations longer than a second; nothing if stderr is not a terminal.
final class ProgressBar: Sendable {
    private let label: String
    private let isShown: Bool
    private let start = ContinuousClock().now
    private let hasDrawn = Mutex(false)

    init(_ label: String) {
        self.label = label
        isShown = isatty(STDERR_FILENO) == 1
    }

    /// Give this to the operation.
    var handler: ProgressHandler? {
        guard isShown else { return nil }
        return { [self] in draw($0) }
    }

    /// Removes the bar.
    func finish() {
        hasDrawn.withLock { if $0 { write("\r\u{1B}[K") } }
    }

    private func draw(_ progress: TransferProgress) {
        guard ContinuousClock().now - start > .seconds(1) else { return }
        var text = "\(label): \(progress.transferred)"
        if let total = progress.total, total.bytes > 0 {
            let share = min(1, Double(progress.transferred.bytes) / Double(total.bytes))
            let filled = Int(share * 30)
            let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: 30 - filled)
            text = "\(label): [\(bar)] \(Int(share * 100)) % of \(total)"
        }
        if progress.entries > 0 { text += ", \(progress.entries) entries" }
        hasDrawn.withLock {
            $0 = true
            write("\r\u{1B}[K" + text)
        }
    }

    private func write(_ text: String) { StandardError.write(text) }
}

/// Runs an operation with a bar.
func withProgress<Value>(_ label: String, _ body: (ProgressHandler?) async throws -> Value) async throws -> Value {
    let bar = ProgressBar(label)
    defer { bar.finish() }
    return try await body(bar.handler)
}
