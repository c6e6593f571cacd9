// SPDX-License-Identifier: Apache-2.0

import FileTree
import FoundationEssentials
import Glibc
import LXCHypervisor
import OperatorSupport

/// A command's output on stdout. Lost output is a failure: ``finish(_:)`` checks everything printed.
enum Output {
    /// Writes raw bytes immediately.
    ///
    /// - Throws: `LXCError` `io`.
    static func write(_ bytes: [UInt8]) throws {
        PrintedOutput.shared.add(bytes)
        try flush()
    }

    /// Flushes the output.
    ///
    /// - Throws: `LXCError` `io` when it cannot.
    static func flush() throws { try PrintedOutput.shared.flush() }

    /// The status of a command that ended with one, and failure where its output was lost.
    static func finish(_ status: CInt) -> CInt {
        do {
            try flush()
            return status
        } catch {
            return status == EXIT_SUCCESS ? Failure.report(error) : status
        }
    }

    /// One JSON document with sorted keys.
    static func json(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        print(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    /// Columns as wide as their widest cell; the last is not padded.
    static func table(_ header: [String], _ rows: [[String]]) {
        let lines = [header] + rows
        let widths = header.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        for line in lines {
            let cells = zip(line, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
            print(trimmingEnd(cells.joined(separator: "  ")))
        }
    }

    /// `key: value` lines with the values below each other.
    static func facts(_ facts: [(String, String?)]) {
        let width = facts.map(\.0.count).max() ?? 0
        for (name, value) in facts {
            guard let value else { continue }
            print("\(name):\(String(repeating: " ", count: width - name.count + 1))\(value)")
        }
    }

    /// A line for each difference, and failure where there is any.
    static func differences(_ differences: [TreeManifest.Difference], of what: String, _ common: CommonOptions) throws {
        if common.json { try json(differences) } else { differences.forEach { print($0) } }
        guard differences.isEmpty else {
            let count = differences.count == 1 ? "1 entry differs" : "\(differences.count) entries differ"
            throw LXCError(.corrupt, "\(what): \(count)")
        }
    }

    private static func trimmingEnd(_ line: String) -> Substring {
        line[..<(line.lastIndex { $0 != " " }.map { line.index(after: $0) } ?? line.startIndex)]
    }
}

extension Double {
    /// The number with so many digits behind the point, as printf(3) rounds it.
    func fixed(_ digits: Int) -> String {
        // The largest number has 309 digits before the point.
        let room = 320 + digits
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: room) { text in
            guard let start = text.baseAddress else { return "" }
            withVaList([self]) { _ = vsnprintf(start, room, "%.\(digits)f", $0) }
            return String(cString: start)
        }
    }
}

extension Duration {
    /// Seconds with milliseconds.
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds / 1_000_000_000_000_000) / 1000 }
}

/// The JSON of a copy's summary.
struct SummaryReport: Encodable {
    var counts: TreeSummary.Counts
    var logicalBytes: ByteCount
    var allocatedBytes: ByteCount
    var digest: TreeDigest?
    var losses: [String: TreeLosses.Loss]
    var strategy: String?
    var seconds: Double

    init(_ summary: TreeSummary) {
        counts = summary.counts
        logicalBytes = summary.logicalBytes
        allocatedBytes = summary.allocatedBytes
        digest = summary.digest
        losses = summary.losses.kinds
        strategy = summary.strategy.isEmpty ? nil : summary.strategy
        seconds = summary.duration.seconds
    }

    func printFacts() {
        Output.facts([
            ("entries", "\(counts.total)"), ("size", logicalBytes.description),
            ("digest", digest?.description), ("strategy", strategy), ("seconds", seconds.fixed(2)),
        ])
        for (kind, loss) in losses.sorted(by: { $0.key < $1.key }) {
            print("lost: \(loss.count) × \(kind.escapedForDisplay), such as \(loss.paths.first ?? "?")")
        }
    }
}
