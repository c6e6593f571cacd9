// SPDX-License-Identifier: Apache-2.0

/// The status and the fields of an HTTP response, read line by line.
struct ResponseHead: Sendable {
    /// The range of the whole in a response (RFC 9110, 14.4).
    struct ContentRange: Hashable {
        var first: UInt64
        var total: UInt64?
    }

    /// The maximum size of the data before the body.
    private static let maximumBytes = 256 << 10

    private(set) var status = 0
    private(set) var isComplete = false
    /// Whether the protocol marks the end of every body, as HTTP/2 and later do.
    private var isFramed = false
    private var fields: [String: String] = [:]
    private var bytes = 0

    /// Adds a line with its end; `false` when there are too many.
    mutating func take(_ line: some Collection<UInt8>) -> Bool {
        bytes += line.count
        let text = String(decoding: line.filter { $0 != 0x0D && $0 != 0x0A }, as: UTF8.self)
        if text.hasPrefix("HTTP/") {
            // Another response: the one before was informational.
            self = ResponseHead()
            status = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
            isFramed = !text.hasPrefix("HTTP/1")
        } else if text.isEmpty {
            isComplete = status >= 200
        } else if let colon = text.firstIndex(of: ":") {
            fields[text[..<colon].lowercased()] = String(text[text.index(after: colon)...].trimmingBlanks)
        }
        return bytes <= Self.maximumBytes
    }

    subscript(name: String) -> String? { fields[name].flatMap { $0.isEmpty ? nil : $0 } }

    /// The length of this response's body.
    var contentLength: UInt64? { self["content-length"].flatMap { UInt64($0) } }

    /// Whether an early end of the body is detected: by its length or, without one, by the marker of its end.
    var tellsItsEnd: Bool {
        contentLength != nil || isFramed || self["transfer-encoding"]?.lowercased().contains("chunked") == true
    }

    /// Nil without the field, and when it is malformed.
    var contentRange: ContentRange? {
        guard let value = self["content-range"], value.lowercased().hasPrefix("bytes ") else { return nil }
        let parts = value.dropFirst(6).split(separator: "/")
        guard parts.count == 2, let first = parts[0].split(separator: "-").first.flatMap({ UInt64($0) }) else {
            return nil
        }
        return ContentRange(first: first, total: UInt64(parts[1]))
    }
}

extension StringProtocol {
    fileprivate var trimmingBlanks: SubSequence {
        let isBlank = { (character: Character) in character == " " || character == "\t" }
        let start = drop(while: isBlank)
        return start.lastIndex { !isBlank($0) }.map { start[...$0] } ?? start[start.endIndex...]
    }
}
