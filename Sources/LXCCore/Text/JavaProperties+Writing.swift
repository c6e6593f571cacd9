// SPDX-License-Identifier: Apache-2.0

extension JavaProperties {
    /// The file's bytes, as `java.util.Properties.store` writes them: one `key=value` a line, everything outside
    /// printable ASCII as `\uXXXX`.
    /// The lines of `comment` come in front, each behind `#`.
    public func serialized(comment: String? = nil) -> [UInt8] {
        var text = ""
        for line in (comment ?? "").split(whereSeparator: \.isNewline) {
            text += "#" + Self.escapingUnicode(line) + "\n"
        }
        for key in keys {
            text += Self.escape(key, isKey: true) + "=" + Self.escape(self[key] ?? "", isKey: false) + "\n"
        }
        return Array(text.utf8)
    }

    private static func escape(_ text: String, isKey: Bool) -> String {
        var result = ""
        for (index, unit) in text.utf16.enumerated() {
            switch unit {
            case 0x20: result += isKey || index == 0 ? "\\ " : " "
            case 0x09: result += "\\t"
            case 0x0A: result += "\\n"
            case 0x0C: result += "\\f"
            case 0x0D: result += "\\r"
            case 0x5C, 0x3D, 0x3A, 0x23, 0x21: result += "\\" + String(Character(Unicode.Scalar(UInt8(unit))))
            default: result += escapingUnicode(unit)
            }
        }
        return result
    }

    private static func escapingUnicode(_ text: some StringProtocol) -> String {
        text.utf16.map { escapingUnicode($0) }.joined()
    }

    private static func escapingUnicode(_ unit: UInt16) -> String {
        if (0x20...0x7E).contains(unit) { return String(Character(Unicode.Scalar(UInt8(unit)))) }
        let digits = String(unit, radix: 16, uppercase: true)
        return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }
}
