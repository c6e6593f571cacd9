// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

extension PaxRecords {
    /// The extended attributes in the records, and the kinds of those that cannot be parsed.
    ///
    /// POSIX ACLs come as raw attributes, or as text with numbers or names; a name means nothing on another host, so
    /// only numbers are taken.
    func attributes(of kind: TreeEntry.Kind) -> (attributes: [TreeEntry.Attribute], losses: [String]) {
        var found: [[UInt8]: [UInt8]] = [:]
        // The raw form, where there is one too, is exact.
        var encoded: [[UInt8]: [UInt8]] = [:]
        var losses: [String] = []
        var hasLists = false
        forEach { keyword, value in
            switch keyword.first {
            case UInt8(ascii: "S"):
                if let name = keyword.suffix(after: "SCHILY.xattr.") {
                    found[Self.decoded(gnu: name)] = Array(value)
                } else if keyword.elementsEqual("SCHILY.acl.ace".utf8) {
                    if !losses.contains("acl") { losses.append("acl") }
                } else if keyword.starts(with: "SCHILY.acl.".utf8) {
                    hasLists = true
                }
            case UInt8(ascii: "L"):
                guard let coded = keyword.suffix(after: "LIBARCHIVE.xattr.") else { break }
                if let name = PercentEncoding.decode(coded) {
                    encoded[name] = Array(value)
                } else {
                    losses.append(TreeEntry.Attribute.lossKind(Array(coded)))
                }
            case UInt8(ascii: "R"):
                if keyword.elementsEqual("RHT.security.selinux".utf8) {
                    found[Array("security.selinux".utf8)] = Array(value)
                }
            default: break
            }
        }
        for (name, value) in encoded where found[name] == nil {
            found[name] = Self.base64Decoded(value)
            if found[name] == nil { losses.append(TreeEntry.Attribute.lossKind(name)) }
        }
        if hasLists { addLists(to: &found, &losses) }
        return (found.compactMap { Self.attribute($0.key, $0.value, of: kind, &losses) }, losses)
    }

    private func addLists(to found: inout [[UInt8]: [UInt8]], _ losses: inout [String]) {
        let lists = [
            (AttributeName.accessACL, text("SCHILY.acl.access")), (.defaultACL, text("SCHILY.acl.default")),
        ]
        for (name, text) in lists {
            guard found[name.bytes] == nil, let text else { continue }
            // Part of a list could allow what the whole forbids: one that is not understood is left out altogether.
            if let list = AccessControlList(parsing: text), list.isComplete {
                found[name.bytes] = list.value
            } else {
                losses.append("acl")
            }
        }
    }

    /// The attribute, where Linux has such a one: what no file can have afterwards is lost here, and not in the digest.
    private static func attribute(
        _ name: [UInt8], _ value: [UInt8], of kind: TreeEntry.Kind, _ losses: inout [String]
    ) -> TreeEntry.Attribute? {
        if let checked = AttributeName(name) {
            let attribute = TreeEntry.Attribute(name: checked, value: value)
            // The kernel treats a list without entries as no list.
            if attribute.isEmptyList { return nil }
            if attribute.isValid(on: kind) { return attribute }
        }
        losses.append(TreeEntry.Attribute.lossKind(name))
        return nil
    }

    /// GNU tar writes `=` and `%` of a name as %3D and %25.
    private static func decoded(gnu name: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var rest = name
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.starts(with: "3D".utf8) || rest.starts(with: "25".utf8) {
                result.append(rest.first == UInt8(ascii: "3") ? UInt8(ascii: "=") : UInt8(ascii: "%"))
                rest = rest.dropFirst(2)
            } else {
                result.append(byte)
            }
        }
        return result
    }

    private static func base64Decoded(_ text: [UInt8]) -> [UInt8]? {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var result: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in text where byte != UInt8(ascii: "=") && byte != UInt8(ascii: "\n") {
            guard let digit = digits.firstIndex(of: byte) else { return nil }
            bits = bits << 6 | UInt32(digit)
            count += 6
            if count >= 8 {
                count -= 8
                result.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return result
    }
}

extension AccessControlList {
    /// Reads the text form: `user::rwx,user:1000:r-x,group::r-x,mask::r-x,other::r--`, a user or group by number, or by
    /// name with the number after the permissions, as star writes it. Also Solaris' form is read, which star keeps: `mask`
    /// and `other` with one colon, `default` before the words of a default list. Nil when something else is there.
    init?(parsing text: String) {
        var entries: [Entry] = []
        for line in text.split(whereSeparator: { $0 == "," || $0 == "\n" }) {
            let line = line.drop { $0 == " " || $0 == "\t" }.prefix { $0 != "#" && $0 != " " && $0 != "\t" }
            if line.isEmpty { continue }
            var fields = line.split(separator: ":", omittingEmptySubsequences: false)
            Self.settleSolarisForm(of: &fields)
            guard fields.count >= 3, let permissions = Self.permissions(fields[2]) else { return nil }
            let isNamed = !fields[1].isEmpty
            let tag: Tag
            switch fields[0] {
            case "user", "u": tag = isNamed ? .user : .owner
            case "group", "g": tag = isNamed ? .group : .owningGroup
            case "mask", "m": tag = .mask
            case "other", "o": tag = .other
            default: return nil
            }
            guard tag == .user || tag == .group else {
                entries.append(Entry(tag: tag, permissions: permissions))
                continue
            }
            guard let id = UInt32(fields.count > 3 ? fields[3] : fields[1]) else { return nil }
            entries.append(Entry(tag: tag, permissions: permissions, id: id))
        }
        self.init(entries)
    }

    private static func settleSolarisForm(of fields: inout [Substring]) {
        if fields.count > 2, fields[0] == "default" || fields[0] == "d" {
            fields.removeFirst()
        } else if let word = fields.first, word.hasPrefix("default"), word.count > 7 {
            fields[0] = word.dropFirst(7)
        }
        if fields.count == 2, ["mask", "m", "other", "o"].contains(fields[0]) { fields.insert("", at: 1) }
    }

    private static func permissions(_ text: Substring) -> UInt16? {
        var bits: UInt16 = 0
        for letter in text {
            switch letter {
            case "r": bits |= 4
            case "w": bits |= 2
            case "x": bits |= 1
            case "-": break
            default: return nil
            }
        }
        return bits
    }
}

extension ArraySlice<UInt8> {
    fileprivate func suffix(after prefix: String) -> ArraySlice<UInt8>? {
        starts(with: prefix.utf8) && count > prefix.utf8.count ? dropFirst(prefix.utf8.count) : nil
    }
}
