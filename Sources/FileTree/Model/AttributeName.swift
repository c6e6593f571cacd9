// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// The name of an extended attribute a tree can carry, such as `user.note` or `security.capability`.
///
/// Every source and every sink uses this type, so the checked name is the name the kernel gets: 1 to 255 bytes without
/// NUL, in one of Linux's namespaces. Attributes that belong to the host or to a file system rather than a tree have no
/// such name: archives must not set them (Documentation/Security.md lists the attributes they may set).
public struct AttributeName: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The longest name the kernel accepts (XATTR_NAME_MAX).
    public static let maximumLength = 255

    /// File capabilities.
    public static let capability = AttributeName(unchecked: "security.capability")
    /// The POSIX access ACL.
    public static let accessACL = AttributeName(unchecked: "system.posix_acl_access")
    /// The POSIX default ACL, which only directories have.
    public static let defaultACL = AttributeName(unchecked: "system.posix_acl_default")

    /// The name with its namespace.
    public let bytes: [UInt8]

    private init(unchecked name: StaticString) { bytes = name.withUTF8Buffer { Array($0) } }

    /// Creates a name with its namespace; `nil` when no tree can carry an attribute of that name.
    public init?(_ name: some Sequence<UInt8>) {
        let name = Array(name)
        guard Standing(of: name) == .tree else { return nil }
        bytes = name
    }

    /// Creates a name from text and checks it.
    public init?(_ name: String) { self.init(name.utf8) }

    /// The name as text fit for a log line.
    public var description: String { String(escapingForDisplay: bytes) }

    /// Orders bytewise.
    public static func < (left: Self, right: Self) -> Bool { left.bytes.lexicographicallyPrecedes(right.bytes) }

    /// Whether an inode of that kind can have such an attribute (xattr(7)): user attributes are for files and directories
    /// alone, a default ACL for directories, an ACL for all but symbolic links.
    public func isPossible(on kind: TreeEntry.Kind) -> Bool {
        switch kind {
        case .directory, .hardLink: true
        case .file: self != Self.defaultACL
        case .symbolicLink: !isACL && !isForUsers
        case .characterDevice, .blockDevice, .fifo: self != Self.defaultACL && !isForUsers
        }
    }

    var isACL: Bool { self == Self.accessACL || self == Self.defaultACL }

    /// Whether permission to write a file is permission to set the attribute.
    var isForUsers: Bool { bytes.starts(with: "user.".utf8) }
}

extension AttributeName {
    /// The namespace an attribute belongs to.
    enum Standing {
        /// To the tree: every copy carries it.
        case tree
        /// To the host or the file system a file is on; a copy is given its own.
        case host
        /// To nothing Linux knows.
        case nobody

        /// Judges a name by its bytes.
        init(of name: [UInt8]) {
            guard (1...AttributeName.maximumLength).contains(name.count), !name.contains(0) else {
                self = .nobody
                return
            }
            let has = { (prefix: String) in name.count > prefix.utf8.count && name.starts(with: prefix.utf8) }
            if has("user.") {
                self = .tree
            } else if has("security.") {
                self = Self.ofSecurityModules.contains(where: has) || Self.exact.contains(name) ? .host : .tree
            } else if has("trusted.") {
                self = has("trusted.SGI_ACL_") ? .host : has("trusted.overlay.") ? .nobody : .tree
            } else if has("system.") {
                let isACL = name == AttributeName.accessACL.bytes || name == AttributeName.defaultACL.bytes
                self = isACL ? .tree : .host
            } else {
                self = .nobody
            }
        }

        /// Labels and signatures a security module of the host computes or acts on.
        private static let ofSecurityModules = ["security.SMACK64", "security.apparmor.", "security.bpf."]
        private static let exact = Set(
            [
                "security.selinux", "security.ima", "security.evm", "security.apparmor", "security.SMACK64",
            ].map { Array($0.utf8) })
    }
}
