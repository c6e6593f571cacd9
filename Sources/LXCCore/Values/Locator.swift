// SPDX-License-Identifier: Apache-2.0

/// A location: a path, or a URL, which may contain a name, a password or a token.
///
/// Printing one, in a message, a log, a record or a debugger, shows neither what stands before the host's name nor the values of
/// a query, nor a fragment. ``revealed`` is the text as it was given, for the parser that connects to it and nothing else.
public struct Locator: Hashable, Sendable, ExpressibleByStringLiteral {
    /// The text as it was given, with every secret in it.
    public let revealed: String

    /// Parameters whose values are not secret and identify one of several objects.
    private static let shownParameters: Set<String> = [
        "version", "nfsport", "mountport", "uid", "gid", "socket", "mode",
    ]

    /// Creates a locator from a path or a URL, without checking that it is usable.
    public init(_ text: String) { revealed = text }

    /// Creates a locator from a path or a URL.
    public init(stringLiteral text: String) { self.init(text) }

    /// The scheme in lower case and what follows its colon, where the text begins as a URL does: with a scheme, a colon and a
    /// slash.
    private var parts: (scheme: String, rest: ArraySlice<UInt8>)? {
        // Bytes, not characters: a delimiter with an accent on it is another character and still a delimiter.
        let bytes = Array(revealed.utf8)
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), colon + 1 < bytes.count,
            bytes[colon + 1] == UInt8(ascii: "/"), Self.isScheme(bytes[..<colon])
        else { return nil }
        return (String(decoding: bytes[..<colon], as: UTF8.self).lowercased(), bytes[(colon + 1)...])
    }

    private static func isScheme(_ bytes: ArraySlice<UInt8>) -> Bool {
        let isLetter = { (byte: UInt8) in (0x61...0x7A).contains(byte | 0x20) }
        guard let first = bytes.first, isLetter(first) else { return false }
        return bytes.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) || [0x2B, 0x2D, 0x2E].contains($0) }
    }

    /// Without secrets, and nothing escaped yet: for what escapes it itself.
    package var redacted: String { parts.map { redacted($0.scheme, $0.rest) } ?? revealed }

    private func redacted(_ scheme: String, _ rest: ArraySlice<UInt8>) -> String {
        let slashes = rest.prefix { $0 == UInt8(ascii: "/") }
        let location = rest[slashes.endIndex...].prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        let start = "\(scheme):\(String(decoding: slashes, as: UTF8.self))"
        // Of a path without a host there is nothing to hide.
        let authority = slashes.count == 2 ? location.prefix { $0 != UInt8(ascii: "/") } : location.prefix(0)
        let host = authority[(authority.lastIndex(of: UInt8(ascii: "@")).map { $0 + 1 } ?? authority.startIndex)...]
        // A password with a slash, a `?` or a `#` in it looks like a host with an impossible port.
        let isUsual = slashes.count == 2 ? Self.isHost(host) : !location.contains(UInt8(ascii: "@"))
        guard isUsual else { return start + "…" }
        let path = location[authority.endIndex...]
        let query = rest[location.endIndex...].prefix { $0 != UInt8(ascii: "#") }.dropFirst()
        return start + String(decoding: host + path, as: UTF8.self) + Self.redacted(query: query)
    }

    private static func isHost(_ host: ArraySlice<UInt8>) -> Bool {
        let isBracketed = host.first == UInt8(ascii: "[")
        let name = isBracketed ? host.prefix { $0 != UInt8(ascii: "]") } : host.prefix { $0 != UInt8(ascii: ":") }
        let port = host[name.endIndex...].dropFirst(isBracketed ? 1 : 0)
        return port.isEmpty
            || port.first == UInt8(ascii: ":") && port.dropFirst().allSatisfy { (0x30...0x39).contains($0) }
    }

    private static func redacted(query: ArraySlice<UInt8>) -> String {
        guard !query.isEmpty else { return "" }
        var items: [String] = []
        for item in query.split(separator: UInt8(ascii: "&")) {
            let key = String(decoding: item.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)
            let shown = shownParameters.contains(key) ? String(decoding: item, as: UTF8.self) : "…"
            if shown != "…" || items.last != shown { items.append(shown) }
        }
        return "?" + items.joined(separator: "&")
    }
}

extension Locator: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The path or URL for people, without secrets, and escaped for a message.
    public var description: String { redacted.escapedForDisplay }

    /// The same.
    public var debugDescription: String { description }

    /// Nothing: what prints a value's parts shows the description in their place.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
