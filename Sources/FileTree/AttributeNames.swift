extension TreeEntry.Attribute {
    static let capabilityName = Array("security.capability".utf8)
    static let accessACLName = Array("system.posix_acl_access".utf8)
    static let defaultACLName = Array("system.posix_acl_default".utf8)

    /// Whether this holds file capabilities.
    var isCapability: Bool { name == Self.capabilityName }

    /// Whether this is a POSIX ACL.
    var isACL: Bool { name == Self.accessACLName || name == Self.defaultACLName }

    /// The name of the kind of loss when a destination cannot hold this.
    package var lossKind: String { isACL ? "acl" : "xattr:" + String(decoding: name, as: UTF8.self) }

    /// Whether the value belongs to the host the file is on and not to the tree: labels and signatures that a security
    /// module computes.
    var isHostBound: Bool {
        let name = String(decoding: name, as: UTF8.self)
        return Self.hostBound.contains(name) || name.hasPrefix("security.SMACK64")
    }

    private static let hostBound: Set<String> = [
        "security.selinux", "security.ima", "security.evm", "security.apparmor",
    ]
}
