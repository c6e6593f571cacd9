// SPDX-License-Identifier: Apache-2.0

public import FileTree
public import LXCCore
import OpenSSL

/// A request to put a template on secondary storage.
public struct TemplateRegistration: Hashable, Sendable {
    /// The location of the new template.
    public var key: TemplateKey
    /// CloudStack's unique name.
    public var name: String
    /// CloudStack's display text; the name where empty.
    public var summary: String
    /// The archive: a path, or a URL of `file`, `nfs`, `http` or `https`. It is a tar, plain, compressed with gzip, bzip2, xz,
    /// zstd or lz4, or alone in a zip file; recognised by content. Instead of a tar it may hold a qcow2 image, for system
    /// VMs.
    ///
    /// A name and password in a URL are sent to its own host alone; neither they nor the query are ever shown.
    public var source: Locator
    /// The expected hash of the archive's bytes, before anything is unpacked.
    public var checksum: Checksum?
    /// The maximum size of the archive, of the plain tar or image, and of the disk in an image; CloudStack's default of
    /// 50 GiB.
    public var maximumSize: ByteCount
    /// Whether every account may use it.
    public var isPublic: Bool
    /// The limits of the tree inside.
    public var limits = TreeLimits()
    /// Options for fetching the archive from a web server.
    public var download = DownloadOptions()

    /// Creates a template registration from what describes the template; `source` is the path or URL of ``source``.
    public init(
        key: TemplateKey, name: String, summary: String = "", source: String, checksum: Checksum? = nil,
        maximumSize: ByteCount = .gibibytes(50), isPublic: Bool = true
    ) {
        self.key = key
        self.name = name
        self.summary = summary
        self.source = Locator(source)
        self.checksum = checksum
        self.maximumSize = maximumSize
        self.isPublic = isPublic
    }

    /// The display text with its default.
    var displayText: String { summary.isEmpty ? name : summary }

    /// A hash of the properties that identify the template; `origin` stands for the source.
    func fingerprint(origin: String) -> String {
        let parts = [origin, name, displayText, checksum?.description ?? "", "\(isPublic)"]
        return Checksum(
            .sha256, digest: MessageDigest.hash(data: Array(parts.joined(separator: "\0").utf8), with: .sha256)
        ).digits
    }
}
