// SPDX-License-Identifier: Apache-2.0

package import LXCCore

/// The parts of a connection's URI, `driver[+transport]://[host]/[path][?parameters]` (https://libvirt.org/uri.html).
package struct LibvirtURI: Hashable, Sendable {
    /// The libvirt driver, such as `lxc`.
    package let driver: String
    /// The transport to the daemon, such as `ssh`; nil for libvirt's default.
    package let transport: String?
    /// The host, with the user before it and the port behind it; empty for this host.
    package let authority: String
    /// The parameters, decoded; of two with one name the first.
    private let parameters: [String: String]

    /// Reads a URI; nil for an alias of libvirt's configuration, and for any other text without `://`.
    package init?(_ locator: Locator) {
        let text = locator.revealed
        guard let mark = text.firstRange(of: "://") else { return nil }
        let scheme = text[..<mark.lowerBound].split(separator: "+", maxSplits: 1, omittingEmptySubsequences: false)
        driver = String(scheme[0])
        transport = scheme.count > 1 ? String(scheme[1]) : nil
        let rest = text[mark.upperBound...]
        authority = String(rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" })
        let query = rest.prefix { $0 != "#" }.drop { $0 != "?" }.dropFirst()
        let pairs = query.split(separator: "&").compactMap { item -> (String, String)? in
            guard let name = Self.decoded(item.prefix { $0 != "=" }),
                let value = Self.decoded(item.drop { $0 != "=" }.dropFirst())
            else { return nil }
            return (name, value)
        }
        parameters = Dictionary(pairs) { first, _ in first }
    }

    private static func decoded(_ text: Substring) -> String? {
        PercentEncoding.decode(text.utf8).flatMap { String(validating: $0, as: UTF8.self) }
    }

    /// The path of the daemon's socket, where the URI names one.
    package var socket: String? { parameters["socket"] }

    /// Whether the URI leads to a daemon of this host, as `lxc:///` does.
    package var isLocal: Bool { authority.isEmpty && (transport == nil || transport == "unix") }
}
