// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import NFSClient
import NFSStoreFiles
import StoreFiles

/// The origin of a registration's archive.
enum TemplateSource {
    /// A file that is read where it is: on this host, or on an NFS server.
    case file(any StoredFile)
    /// A web server.
    case web(WebAddress)

    /// Reads a path, or a URL of `file`, `nfs`, `http` or `https`. Text that begins like another URL is refused.
    ///
    /// - Throws: `LXCError` `invalidArgument`, `unsupported` for other schemes.
    init(_ source: Locator) throws {
        let text = source.revealed
        guard !text.isEmpty, !text.contains("\0") else {
            throw LXCError(.invalidArgument, "an archive's path or URL must not be empty or contain NUL")
        }
        guard let scheme = Self.scheme(of: text) else {
            let beginnings = ["http:", "https:", "nfs:"]
            guard !beginnings.contains(where: { text.lowercased().hasPrefix($0) }) else {
                throw LXCError(
                    .invalidArgument,
                    "\(source) is not a URL: two slashes follow the scheme; a path that "
                        + "begins so is given as ./path")
            }
            self = .file(LocalFile(text))
            return
        }
        switch scheme {
        case "file": self = .file(LocalFile(try Self.path(text.dropFirst("file://".count))))
        case "nfs": self = .file(NFSFile(try NFSURL(parsing: text)))
        case "http", "https": self = .web(try WebAddress(parsing: text))
        default:
            throw LXCError(
                .unsupported,
                "archives are not taken from \(scheme.escapedForDisplay):// URLs; give a path, or a URL of file, nfs, "
                    + "http or https")
        }
    }

    /// The scheme in lower case; nil for a path.
    private static func scheme(of text: String) -> String? {
        guard let end = text.firstRange(of: "://")?.lowerBound else { return nil }
        let scheme = text[..<end]
        let isScheme =
            scheme.first?.isLetter == true
            && scheme.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "+-.".contains($0)) }
        return isScheme ? scheme.lowercased() : nil
    }

    /// The path after `file://`, with `%xx` undone. Only this host's files have one.
    private static func path(_ rest: Substring) throws -> String {
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let host = rest[..<slash].lowercased()
        guard host.isEmpty || host == "localhost" else {
            throw LXCError(.invalidArgument, "a file: URL must not name another host; expected file:///path")
        }
        guard let bytes = PercentEncoding.decode(rest[slash...].utf8), !bytes.contains(0) else {
            throw LXCError(.invalidArgument, "a file: URL has a malformed %xx in its path")
        }
        guard let path = String(validating: bytes, as: UTF8.self), path.hasPrefix("/"), path != "/" else {
            throw LXCError(.invalidArgument, "a file: URL must have an absolute path; expected file:///path")
        }
        return path
    }
}
