import CLibNFS
import LXCCore

/// A directory on an NFS server, written as libnfs does: `nfs://server/export/path?nfsport=2049&mountport=20048`.
public struct NFSURL: Hashable, Sendable, CustomStringConvertible {
    /// The URL as it was given.
    public let description: String
    /// The server's name or address.
    public let server: String
    /// The directory's path on the server, starting with a slash.
    public let path: String

    /// Whether a text is meant as an NFS URL.
    public static func isOne(_ text: String) -> Bool { text.hasPrefix("nfs://") }

    /// Reads a URL with libnfs's own parser; no server is asked.
    ///
    /// - Throws: `LXCError` `invalidArgument` when server or path is missing, or it is no `nfs:` URL.
    public init(parsing text: String) throws {
        guard Self.isOne(text), !text.contains("\0"), let parsed = ParsedURL(text), parsed.path != "/" else {
            throw LXCError(
                .invalidArgument,
                "\"\(text.escapedForDisplay)\" does not name an NFS directory; expected nfs://server/export[/path]")
        }
        description = text
        server = parsed.server
        path = parsed.path
    }
}

/// Owns libnfs's context and the result of its parser for as long as the parts are read.
private struct ParsedURL: ~Copyable {
    private let context: OpaquePointer
    private let url: UnsafeMutablePointer<nfs_url>
    let server: String
    let path: String

    init?(_ text: String) {
        guard let context = nfs_init_context() else { return nil }
        guard let url = nfs_parse_url_dir(context, text) else {
            nfs_destroy_context(context)
            return nil
        }
        guard let server = url.pointee.server, let path = url.pointee.path, server.pointee != 0 else {
            nfs_destroy_url(url)
            nfs_destroy_context(context)
            return nil
        }
        self.context = context
        self.url = url
        self.server = String(cString: server)
        self.path = String(cString: path)
    }

    deinit {
        nfs_destroy_url(url)
        nfs_destroy_context(context)
    }
}
