// SPDX-License-Identifier: Apache-2.0

public import FileTree
public import LXCCore

/// The location of a template on secondary storage: CloudStack's account and template ids, written `1/10`.
public struct TemplateKey: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    /// The account's id.
    public var account: UInt64
    /// The template's id.
    public var id: UInt64

    /// Creates a template key from both ids.
    public init(account: UInt64, id: UInt64) {
        self.account = account
        self.id = id
    }

    /// Reads `ACCOUNT/ID`.
    ///
    /// - Throws: `LXCError` `invalidArgument` for anything else.
    public init(parsing text: String) throws {
        let numbers = text.split(separator: "/", omittingEmptySubsequences: false).map { UInt64($0) }
        guard numbers.count == 2, let account = numbers[0], let id = numbers[1] else {
            throw LXCError(
                .invalidArgument, "\"\(text.escapedForDisplay)\" is not a template; expected ACCOUNT/ID, as 1/10")
        }
        self.init(account: account, id: id)
    }

    /// `ACCOUNT/ID`.
    public var description: String { "\(account)/\(id)" }

    /// Orders by account, then by id.
    public static func < (left: Self, right: Self) -> Bool { (left.account, left.id) < (right.account, right.id) }
}

/// A template on secondary storage: a plain tar, or a disk image, with the data in `template.properties`.
public struct Template: Hashable, Sendable, Codable {
    /// The format of a template, by CloudStack's names.
    public enum Format: String, Hashable, Sendable, Codable, CaseIterable {
        /// A root file system, for containers.
        case tar
        /// A disk image, for system VMs.
        case qcow2
    }

    /// The location of the template.
    public var key: TemplateKey
    /// CloudStack's unique name.
    public var name: String
    /// CloudStack's display text.
    public var summary: String
    /// The format of the template.
    public var format: Format
    /// The file's name, `<uuid>.tar` or `<uuid>.qcow2`.
    public var fileName: String
    /// The file's size.
    public var size: ByteCount
    /// The size of the disk in an image; of a tar its own.
    public var virtualSize: ByteCount
    /// Whether every account may use it.
    public var isPublic: Bool
    /// The digest of the tree inside; nil for a disk image, and for a template this package did not register.
    public var digest: TreeDigest?
    /// Findings of the registration that its user should know.
    public var warnings: [TemplateWarning] = []

    private enum CodingKeys: String, CodingKey {
        case key, name, summary = "description", format, fileName, size, virtualSize, isPublic, digest, warnings
    }

    /// Creates a template; a tar, unless it says otherwise.
    public init(
        key: TemplateKey, name: String, summary: String, format: Format = .tar, fileName: String,
        size: ByteCount, virtualSize: ByteCount? = nil, isPublic: Bool, digest: TreeDigest?
    ) {
        self.format = format
        self.virtualSize = virtualSize ?? size
        self.key = key
        self.name = name
        self.summary = summary
        self.fileName = fileName
        self.size = size
        self.isPublic = isPublic
        self.digest = digest
    }
}

/// The contents of secondary storage.
public struct TemplateListing: Hashable, Sendable, Codable {
    /// A directory that should hold a template and does not.
    public struct Broken: Hashable, Sendable, Codable {
        /// The location of the template.
        public var key: TemplateKey
        /// The fault.
        public var reason: String

        /// Creates a note of a broken template.
        public init(key: TemplateKey, reason: String) {
            self.key = key
            self.reason = reason
        }
    }

    /// The templates, ordered by key.
    public var templates: [Template]
    /// The unreadable templates, ordered by key.
    public var broken: [Broken]

    /// Creates a template listing from both lists.
    public init(templates: [Template] = [], broken: [Broken] = []) {
        self.templates = templates
        self.broken = broken
    }
}
