// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// A rule for the text of a field, beyond the restrictions of XML itself.
struct TextRule: Sendable {
    private let requirement: String
    private let accepts: @Sendable (String) -> Bool

    private init(_ requirement: String, _ accepts: @escaping @Sendable (String) -> Bool) {
        self.requirement = requirement
        self.accepts = accepts
    }

    /// Throws a ``FieldFault`` unless the text follows the rule.
    func check(_ text: String) throws {
        guard accepts(text) else {
            throw FieldFault("cannot be \"\(text.escapedForDisplay)\"; expected \(requirement)")
        }
    }

    /// Any text.
    static let any = Self("text") { _ in true }
    /// An argument of a program. libvirt writes a carriage return without escaping it, and reads back a line feed.
    static let argument = Self("text that is not empty and has no carriage return") { isArgument($0) }
    /// The value of a variable in a program's environment. libvirt 9 writes it unescaped into the document for the
    /// container's controller and on disk: text that looks like an element would become one.
    static let environmentValue = Self("text that is not empty and has no carriage return and no <, & or ]]>") {
        isArgument($0) && !$0.utf8.contains(UInt8(ascii: "<")) && !$0.utf8.contains(UInt8(ascii: "&"))
            && !$0.contains("]]>")
    }
    /// One line of text that is not empty.
    static let line = Self("one line of text that is not empty", isLine)
    /// The name of a domain or network. libvirt makes file names of it.
    static let objectName = Self("a name that is not empty, \".\" or \"..\" and has no slash, line break or tab") {
        isPlainLine($0) && !$0.utf8.contains(UInt8(ascii: "/")) && $0 != "." && $0 != ".."
    }
    /// An absolute path.
    static let absolutePath = Self("an absolute path without line breaks and tabs") {
        isPlainLine($0) && $0.utf8.first == UInt8(ascii: "/")
    }
    /// The absolute path of something below the root directory.
    static let absoluteFilePath = Self("the absolute path of a file, without line breaks and tabs") {
        isPlainLine($0) && $0.utf8.first == UInt8(ascii: "/") && $0.utf8.count > 1
    }
    /// The name of a network device: the names accepted by both the kernel and libvirt's schema.
    static let deviceName = Self("a network device's name, 1 to 15 of A-Z a-z 0-9 . _ -", isDeviceName)

    /// Whether a network device can have the name.
    static func isDeviceName(_ text: String) -> Bool {
        (1...15).contains(text.utf8.count) && consists(text, of: ".-_") && text != "." && text != ".."
    }
    /// The name of a variable in a program's environment.
    static let environmentName = Self("a letter or underscore, then letters, digits and underscores") {
        consists($0, of: "_") && !startsWithDigit($0)
    }
    /// The name or number of a user or group.
    static let accountName = Self("a name or number of A-Z a-z 0-9 _ + -") { consists($0, of: "_+-") }
    /// A word of libvirt's, such as an architecture, a model or a format.
    static let word = Self("a word of A-Z a-z 0-9 . _ -") { consists($0, of: "._-") }
    /// One option of a mount: a comma would end it and begin another.
    static let mountOption = Self("one option of mount(8), without commas and white space") {
        isPlainLine($0) && !$0.utf8.contains(UInt8(ascii: ",")) && !$0.utf8.contains(UInt8(ascii: " "))
    }
    /// The name of a signal, such as SIGRTMIN+3.
    static let signalName = Self("a signal's name of A-Z a-z 0-9 + -") { consists($0, of: "+-") }
    /// The name of a network filter.
    static let filterName = Self("a letter or underscore, then letters, digits and any of . _ -") {
        consists($0, of: "._-") && !startsWithDigit($0) && $0.utf8.first != UInt8(ascii: "-")
            && $0.utf8.first != UInt8(ascii: ".")
    }
    /// The name of a filter's variable.
    static let filterVariable = Self("letters, digits and underscores") { consists($0, of: "_") }
    /// The value of a filter's variable.
    static let filterValue = Self("letters, digits and any of . : _") { consists($0, of: "_.:") }
    /// The value of an attribute in a filter's rule: an address, a number, a state.
    static let filterMatch = Self("letters, digits and any of . : , $ -") { consists($0, of: ".:,$-") }
    /// A disk's serial number.
    static let serial = Self("letters, digits, spaces and any of . _ + -") { consists($0, of: " ._+-") }
    /// A disk's name in the guest.
    static let diskName = Self("a disk's name in the guest, such as vda") { text in
        let prefixes = ["fd", "hd", "sd", "vd", "xvd", "ubd"]
        return consists(text, of: "_") && prefixes.contains { text.hasPrefix($0) && text.utf8.count > $0.utf8.count }
    }
    /// A list of processors.
    static let cpuSet = Self("a list of processors, such as 0-3,^2,8") { text in
        text.split(separator: ",", omittingEmptySubsequences: false).allSatisfy { part in
            let numbers = (part.hasPrefix("^") ? part.dropFirst() : part)
                .split(separator: "-", omittingEmptySubsequences: false)
            let most = part.hasPrefix("^") ? 1 : 2
            return numbers.count <= most && numbers.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy(isDigit) }
        }
    }

    private static func isLine(_ text: String) -> Bool {
        !text.isEmpty && !text.utf8.contains { $0 == 0x0a || $0 == 0x0d }
    }

    /// libvirt writes tabs in attributes without escaping them, and reads back spaces: another path.
    private static func isPlainLine(_ text: String) -> Bool { isLine(text) && !text.utf8.contains(0x09) }

    private static func isArgument(_ text: String) -> Bool { !text.isEmpty && !text.utf8.contains(0x0d) }

    private static func consists(_ text: String, of others: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                let letter = byte | 0x20
                return isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(letter)
                    || others.utf8.contains(byte)
            }
    }

    private static func startsWithDigit(_ text: String) -> Bool { text.utf8.first.map(isDigit) ?? false }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
