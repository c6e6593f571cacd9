// SPDX-License-Identifier: Apache-2.0

import FileTree

extension PaxWriter {
    /// Adds an entry's extended attributes in ascending order of their names.
    ///
    /// ACLs are written twice: as attributes, byte for byte, and before them as the text from which GNU tar and bsdtar
    /// restore them; neither of the two restores them from attributes.
    mutating func add(_ attributes: [TreeEntry.Attribute]) {
        guard !attributes.isEmpty else { return }
        let sorted = attributes.sorted { $0.name < $1.name }
        for (name, keyword) in [(AttributeName.accessACL, "SCHILY.acl.access"), (.defaultACL, "SCHILY.acl.default")] {
            if let list = sorted.first(where: { $0.name == name }).flatMap({ AccessControlList($0.value) }) {
                add(keyword, list.text)
            }
        }
        for attribute in sorted {
            add(Array("SCHILY.xattr.".utf8) + Self.encoded(attribute.name.bytes), attribute.value)
        }
    }

    /// A keyword ends at the first `=`: this is GNU tar's encoding of one in an attribute's name.
    private static func encoded(_ name: [UInt8]) -> [UInt8] {
        guard name.contains(where: { $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: "%") }) else { return name }
        return name.flatMap { byte in
            switch byte {
            case UInt8(ascii: "="): Array("%3D".utf8)
            case UInt8(ascii: "%"): Array("%25".utf8)
            default: [byte]
            }
        }
    }
}

extension AccessControlList {
    /// The text form with numbers for users and groups: `user::rwx,user:1000:r-x,group::r-x,mask::r-x,other::r--`.
    fileprivate var text: String {
        entries.map { entry in
            let (word, id) =
                switch entry.tag {
                case .owner: ("user", "")
                case .user: ("user", String(entry.id))
                case .owningGroup: ("group", "")
                case .group: ("group", String(entry.id))
                case .mask: ("mask", "")
                case .other: ("other", "")
                }
            let letters = [(4, "r"), (2, "w"), (1, "x")].map { entry.permissions & $0.0 != 0 ? $0.1 : "-" }
            return "\(word):\(id):\(letters.joined())"
        }.joined(separator: ",")
    }
}
