// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// A directory on an NFS server, written as libnfs does: `nfs://server[:port]/export[/path][?key=value&…]`.
///
/// The path is the bytes it is written in; `%` has no meaning, and `?` ends it. A port is NFS's own.
///
/// | key | meaning |
/// |---|---|
/// | `version` | 3, which is the default, or 4 |
/// | `nfsport`, `mountport` | the services' TCP ports; without them the server's portmapper is asked |
/// | `uid`, `gid` | who the calls are made for (AUTH_SYS); without them this process's effective ids |
///
/// libnfs's other keys, which are about its own caches and reconnecting, are taken and do nothing.
public struct NFSURL: Hashable, Sendable, CustomStringConvertible {
    /// The URL as it was given.
    public let description: String
    /// The server's name or address; one of IPv6 without its brackets.
    public let server: String
    /// The directory's path on the server, starting with a slash.
    public let path: String
    /// The protocol's version, 3 or 4.
    public private(set) var version = 3
    /// NFS's TCP port, where it is given.
    public private(set) var port: UInt16?
    /// The MOUNT service's TCP port, where it is given.
    public private(set) var mountPort: UInt16?
    /// The user the calls are made for, where it is given.
    public private(set) var user: UInt32?
    /// The group the calls are made for, where it is given.
    public private(set) var group: UInt32?

    /// Reads a URL; no server is asked.
    ///
    /// - Throws: `LXCError` `invalidArgument` when server or path is missing, it is no `nfs:` URL, or a key or value is
    ///   not one of those above.
    public init(parsing text: String) throws { try self.init(parsing: text, allowsRoot: false) }

    /// Reads a location that may be an NFS URL; nil for a text that does not begin as one.
    ///
    /// - Throws: as ``init(parsing:)`` for a text that does.
    public init?(recognizing text: String) throws {
        guard text.hasPrefix(Self.scheme) else { return nil }
        try self.init(parsing: text)
    }

    private init(parsing text: String, allowsRoot: Bool) throws {
        guard text.hasPrefix(Self.scheme), !text.utf8.contains(0) else { throw Self.refusal(text) }
        let rest = text.dropFirst(Self.scheme.count)
        guard let slash = rest.firstIndex(of: "/") else { throw Self.refusal(text) }
        let parts = rest[slash...].split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let path = parts.first, allowsRoot || path.contains(where: { $0 != "/" }) else {
            throw Self.refusal(text)
        }
        (server, port) = try Self.parse(authority: rest[..<slash], of: text)
        description = text
        self.path = String(path)
        for item in parts.dropFirst().first?.split(separator: "&") ?? [] { try take(item, of: text) }
    }

    /// The URL of another directory of the same server, its root too, with the same parameters.
    func replacingPath(_ path: String) throws -> NFSURL {
        let query = description.firstIndex(of: "?").map { description[$0...] } ?? ""
        let authority = description.dropFirst(Self.scheme.count).prefix { $0 != "/" }
        return try NFSURL(parsing: Self.scheme + authority + path + query, allowsRoot: true)
    }

    /// The URL of the directory above, and the name in it.
    ///
    /// - Throws: `LXCError` `invalidArgument` when the path ends in no name.
    func splitName() throws -> (above: NFSURL, name: [UInt8]) {
        let names = path.split(separator: "/")
        guard let name = names.last, name != ".", name != ".." else {
            throw LXCError(.invalidArgument, "\(place) does not end in a name")
        }
        return (try replacingPath("/" + names.dropLast().joined(separator: "/")), Array(name.utf8))
    }

    private static let scheme = "nfs://"

    /// Parameters of libnfs that have no effect in this package.
    private static let withoutEffect: Set<Substring> = [
        "tcp-syncnt", "readahead", "pagecache", "pagecachettl", "auto-traverse-mounts", "dircache", "autoreconnect",
        "debug", "if", "timeo", "retrans",
    ]

    private static func refusal(_ text: String, _ why: String = "does not name an NFS directory") -> LXCError {
        LXCError(
            .invalidArgument,
            "\"\(Locator(text))\" \(why); expected nfs://server[:port]/export[/path][?key=value]")
    }

    private static func parse(authority: Substring, of text: String) throws -> (String, UInt16?) {
        var host = authority
        var port: Substring?
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { throw refusal(text) }
            host = authority[authority.index(after: authority.startIndex)..<end]
            let rest = authority[authority.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { throw refusal(text) }
            if !rest.isEmpty { port = rest.dropFirst() }
        } else if let colon = authority.lastIndex(of: ":") {
            host = authority[..<colon]
            port = authority[authority.index(after: colon)...]
        }
        guard !host.isEmpty, !host.contains("@") else { throw refusal(text) }
        return (String(host), try port.map { try number($0, "port", of: text) })
    }

    private mutating func take(_ item: Substring, of text: String) throws {
        let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let value = parts.count > 1 ? parts[1] : ""
        switch parts[0] {
        case "version":
            guard value == "3" || value == "4" else { throw Self.refusal(text, "asks for a version other than 3 or 4") }
            version = value == "3" ? 3 : 4
        case "nfsport": port = try Self.number(value, "nfsport", of: text)
        case "mountport": mountPort = try Self.number(value, "mountport", of: text)
        case "uid": user = try Self.number(value, "uid", of: text)
        case "gid": group = try Self.number(value, "gid", of: text)
        case let key where Self.withoutEffect.contains(key): break
        default: throw Self.refusal(text, "has a parameter that is not known")
        }
    }

    private static func number<Number: FixedWidthInteger>(
        _ value: Substring, _ key: String, of text: String
    ) throws -> Number {
        guard let first = value.utf8.first, first != UInt8(ascii: "+"), let number = Number(value) else {
            throw refusal(text, "has a \(key) that is not a number in its range")
        }
        return number
    }
}
