// SPDX-License-Identifier: Apache-2.0

import LXCCore

extension Disk {
    /// Says which qcow2 image the contents differ from, and that this one differs from no other: libvirt then looks for
    /// neither in the files' own headers.
    ///
    /// - Throws: `LXCError` `invalidArgument` for a path that is not absolute.
    public mutating func setBase(_ path: String) throws {
        try FieldFault.reported {
            var base = XMLFragment("backingStore")
            try base.set("type", "file")
            try base.write("format") { try $0.set("type", "qcow2") }
            try base.write("source") { try $0.set("file", path, .absoluteFilePath) }
            base.children.append(.element(XMLFragment("backingStore")))
            other.children.removeAll { if case .element(let child) = $0 { child.name == base.name } else { false } }
            other.children.append(.element(base))
        }
    }
}
