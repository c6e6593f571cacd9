// SPDX-License-Identifier: Apache-2.0

extension TreeEntry.Attribute {
    /// The largest value the kernel accepts (XATTR_SIZE_MAX).
    static let maximumSize = 65_536

    /// Whether this holds file capabilities.
    var isCapability: Bool { name == .capability }

    /// Whether this is a POSIX ACL.
    var isACL: Bool { name.isACL }

    /// Whether this is an ACL without entries, which the kernel treats as no ACL.
    package var isEmptyList: Bool { isACL && AccessControlList(value)?.isEmpty == true }

    /// The name of the kind of loss when a destination cannot hold this.
    package var lossKind: String { Self.lossKind(name.bytes) }

    /// The name of the kind of loss when an attribute of that name cannot be held.
    package static func lossKind(_ name: [UInt8]) -> String {
        name.starts(with: "system.posix_acl_".utf8) ? "acl" : "xattr:" + String(decoding: name, as: UTF8.self)
    }

    /// Whether the value says anything the kernel would keep on an inode of that kind. Capabilities and ACLs that the
    /// kernel would refuse do not count: what cannot be read cannot be mapped to other ids either.
    package func isValid(on kind: TreeEntry.Kind) -> Bool {
        guard name.isPossible(on: kind), value.count <= Self.maximumSize else { return false }
        if isCapability { return FileCapability(value) != nil }
        if isACL { return AccessControlList(value)?.isComplete ?? false }
        return true
    }
}
