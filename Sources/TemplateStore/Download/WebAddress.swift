// SPDX-License-Identifier: Apache-2.0

import CCurl
import LXCCore
import OpenSSL

/// A URL of `http` or `https`, taken apart by the library that connects to it: two parsers might see two hosts.
struct WebAddress: Hashable, Sendable {
    /// A name and a password, which go to the URL's own host and nowhere else: not into messages, logs or records.
    struct Credentials: Hashable, Sendable {
        let user: String
        let password: String
    }

    /// A scope for credentials.
    struct Origin: Hashable, Sendable {
        let scheme: String
        let host: String
        let port: String
    }

    /// The URL without credentials and fragment.
    let text: String
    let origin: Origin
    let credentials: Credentials?
    /// The URL for messages: without its query, which may be a secret as well.
    let shown: String

    /// Whether the connection is encrypted and the server's name proved.
    var isSecure: Bool { origin.scheme == "https" }

    /// A hash of the whole URL but for credentials, by which the same one is known again.
    var fingerprint: String {
        Checksum(.sha256, digest: MessageDigest.hash(data: Array(text.utf8), with: .sha256)).digits
    }

    /// Reads a URL.
    ///
    /// - Throws: `LXCError` `invalidArgument`.
    init(parsing text: String) throws { try self.init(text, relativeTo: nil) }

    /// The target of a redirect. Credentials stay with their origin, and a server cannot supply any.
    ///
    /// - Throws: `LXCError` `unsafe` for a redirect from https to http, `corrupt` for anything that is no URL.
    func redirected(to location: String) throws -> WebAddress {
        let target: WebAddress
        do {
            target = try WebAddress(location, relativeTo: text)
        } catch {
            throw LXCError(.corrupt, "\(shown) redirects to something other than an http or https URL", cause: error)
        }
        guard target.isSecure || !isSecure else {
            throw LXCError(
                .unsafe,
                "\(shown) redirects to \(target.shown), which is not encrypted; use an https URL that redirects only to https"
            )
        }
        return WebAddress(target, credentials: target.origin == origin ? credentials : nil)
    }

    private init(_ other: WebAddress, credentials: Credentials?) {
        (text, origin, shown, self.credentials) = (other.text, other.origin, other.shown, credentials)
    }

    private init(_ text: String, relativeTo base: String?) throws {
        let parts = try URLParts(text, relativeTo: base)
        guard let scheme = parts[CURLUPART_SCHEME], ["http", "https"].contains(scheme),
            let host = parts[CURLUPART_HOST], !host.isEmpty,
            let port = parts[CURLUPART_PORT, UInt32(CURLU_DEFAULT_PORT)]
        else {
            // The text may have a password in it.
            throw LXCError(.invalidArgument, "a URL must be of http or https and name a host")
        }
        origin = Origin(scheme: scheme, host: host.lowercased(), port: port)
        let decoding = UInt32(CURLU_URLDECODE)
        credentials = parts[CURLUPART_USER, decoding].map {
            Credentials(user: $0, password: parts[CURLUPART_PASSWORD, decoding] ?? "")
        }
        for part in [CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS, CURLUPART_FRAGMENT] { parts.remove(part) }
        guard let plain = parts[CURLUPART_URL] else { throw LXCError(.invalidArgument, "a URL has an unusable path") }
        self.text = plain
        shown = Locator(plain).description
    }
}

/// curl's URL parser around one URL.
private final class URLParts {
    private let url: OpaquePointer

    init(_ text: String, relativeTo base: String?) throws {
        guard let url = curl_url() else { throw LXCError(.io, "libcurl cannot be set up") }
        self.url = url
        // A NUL would end the text early.
        guard !text.contains("\0") else { throw LXCError(.invalidArgument, "a URL must not contain NUL") }
        for step in [base, text].compactMap(\.self) {
            let code = curl_url_set(url, CURLUPART_URL, step, UInt32(CURLU_URLENCODE))
            guard code == CURLUE_OK else {
                throw LXCError(.invalidArgument, "not a URL: \(String(cString: curl_url_strerror(code)))")
            }
        }
    }

    deinit { curl_url_cleanup(url) }

    subscript(part: CURLUPart, flags: UInt32 = 0) -> String? {
        var value: UnsafeMutablePointer<CChar>?
        guard curl_url_get(url, part, &value, flags) == CURLUE_OK, let value else { return nil }
        defer { curl_free(value) }
        return String(cString: value)
    }

    func remove(_ part: CURLUPart) { curl_url_set(url, part, nil, 0) }
}
