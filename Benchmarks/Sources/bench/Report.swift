// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One line of the table.
struct Ratio: Encodable {
    var filesystem: String
    var work: String
    var durability: Durability
    var ours: String
    var seconds: Double
    var tool: String
    var toolSeconds: Double
    /// The median of the rounds' ratios.
    var ratio: Double
    var peakMebibytes: Double
    var rounds: Int
}

extension Ratio: CustomStringConvertible {
    /// The comparison alone.
    var description: String {
        String(
            format: "%@ (%.2f s, %.0f MiB) %@ %@: %.2f times as fast", ours, seconds, peakMebibytes,
            durability == .plain ? "against" : "and synced against", tool, ratio)
    }
}

/// Everything that was measured.
struct Report: Encodable {
    var entries: Int
    var bytes: UInt64
    var kernel: String
    var processors: Int
    var ratios: [Ratio] = []

    /// The table for people.
    var table: String {
        let head = ["fs", "work", "until", "ours", "s", "MiB", "against", "s", "times as fast"]
        let rows = ratios.map { ratio in
            [
                ratio.filesystem, ratio.work, ratio.durability == .plain ? "done" : "on disk", ratio.ours,
                number(ratio.seconds, 2), number(ratio.peakMebibytes, 0), ratio.tool, number(ratio.toolSeconds, 2),
                number(ratio.ratio, 2),
            ]
        }
        let all = [head] + rows
        let widths = head.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        let lines = all.map { row in
            let cells = zip(row, widths).enumerated().map { column, cell in
                let blanks = String(repeating: " ", count: cell.1 - cell.0.count)
                // Numbers to the right.
                return [4, 5, 7, 8].contains(column) ? blanks + cell.0 : cell.0 + blanks
            }
            return cells.joined(separator: "  ")
        }
        let about = "\(entries) entries, \(bytes >> 20) MiB, Linux \(kernel), \(processors) processors"
        return ([about, ""] + lines).joined(separator: "\n")
    }

    /// The same for programs.
    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    private func number(_ value: Double, _ digits: Int) -> String {
        value.isNaN ? "-" : String(format: "%.\(digits)f", value)
    }
}
