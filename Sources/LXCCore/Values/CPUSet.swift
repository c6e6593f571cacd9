// SPDX-License-Identifier: Apache-2.0

/// Processors of a host, written as the kernel (cpuset(7), "List format") and libvirt write them: `0-3,8`.
public struct CPUSet: Hashable, Sendable, Codable, CustomStringConvertible {
    /// The numbers of the processors: at least one, each below 8192.
    public let processors: Set<Int>

    /// Creates a set of processors.
    ///
    /// - Throws: ``LXCError`` `invalidArgument` for no processor and for numbers that are not from 0 to 8191.
    public init(_ processors: some Sequence<Int>) throws {
        self.processors = Set(processors)
        guard !self.processors.isEmpty, self.processors.allSatisfy((0..<8192).contains) else {
            throw LXCError(.invalidArgument, "a set of processors needs at least one, each from 0 to 8191")
        }
    }

    /// Reads a list of processors and of ranges of them; libvirt's `^2` takes one out again.
    ///
    /// - Throws: ``LXCError`` `invalidArgument` for anything else, and for a list that leaves no processor.
    public init(parsing text: String) throws {
        guard let processors = Self.processors(text) else {
            throw LXCError(
                .invalidArgument, "\"\(text.escapedForDisplay)\" is not a list of processors such as 0-3,8")
        }
        self.processors = processors
    }

    private static func processors(_ text: String) -> Set<Int>? {
        var processors: Set<Int> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            if part.first == "^" {
                guard let excluded = Int(part.dropFirst()) else { return nil }
                processors.remove(excluded)
                continue
            }
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1],
                (0...last).contains(first), last < 8192
            else { return nil }
            processors.formUnion(first...last)
        }
        return processors.isEmpty ? nil : processors
    }

    /// The shortest list, in the kernel's form.
    public var description: String {
        var ranges: [ClosedRange<Int>] = []
        for processor in processors.sorted() {
            if let last = ranges.last, last.upperBound == processor - 1 {
                ranges[ranges.count - 1] = last.lowerBound...processor
            } else {
                ranges.append(processor...processor)
            }
        }
        return ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            .joined(separator: ",")
    }

    /// Reads a list, as ``init(parsing:)`` does.
    public init(from decoder: any Decoder) throws {
        try self.init(parsing: String(from: decoder))
    }

    /// Writes the shortest list.
    public func encode(to encoder: any Encoder) throws {
        try description.encode(to: encoder)
    }
}
