// SPDX-License-Identifier: Apache-2.0

/// Finds where a text stops being JSON (RFC 8259). The decoder only says that it is none.
struct JSONSyntax {
    /// What is wrong, and behind how many bytes.
    struct Fault: Error {
        var offset: Int
        var reason: String
    }

    private static let deepest = 512

    private let bytes: [UInt8]
    private var place = 0
    private var depth = 0

    /// The first fault; `nil` if the text is JSON.
    static func fault(in bytes: [UInt8]) -> Fault? {
        var syntax = JSONSyntax(bytes: bytes)
        do throws(Fault) {
            try syntax.readValue()
            guard syntax.next == nil else { throw syntax.fault("nothing may follow the value") }
            return nil
        } catch {
            return error
        }
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private var current: UInt8? { place < bytes.count ? bytes[place] : nil }

    private var currentCharacter: Character? { current.map { Character(Unicode.Scalar($0)) } }

    /// What comes behind white space.
    private var next: Character? {
        mutating get {
            while let byte = current, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { place += 1 }
            return currentCharacter
        }
    }

    private func fault(_ reason: String) -> Fault {
        Fault(offset: place, reason: place < bytes.count ? reason : "it ends too early")
    }

    private mutating func readValue() throws(Fault) {
        switch next {
        case "{": try readList(until: "}") { syntax throws(Fault) in try syntax.readMember() }
        case "[": try readList(until: "]") { syntax throws(Fault) in try syntax.readValue() }
        case "\"": try readString()
        case let character? where "-0123456789".contains(character): readNumber()
        default: try readWord()
        }
    }

    private mutating func readList(
        until end: Character, _ readElement: (inout JSONSyntax) throws(Fault) -> Void
    ) throws(Fault) {
        place += 1
        depth += 1
        guard depth <= Self.deepest else { throw fault("it is nested too deeply") }
        if next != end {
            try readElement(&self)
            while next == "," {
                place += 1
                try readElement(&self)
            }
        }
        guard next == end else { throw fault("expected a comma or \(end)") }
        place += 1
        depth -= 1
    }

    private mutating func readMember() throws(Fault) {
        guard next == "\"" else { throw fault("expected a key in double quotes") }
        try readString()
        guard next == ":" else { throw fault("expected a colon") }
        place += 1
        try readValue()
    }

    private mutating func readString() throws(Fault) {
        place += 1
        while let byte = current, currentCharacter != "\"" {
            guard byte >= 0x20 else { throw fault("a control character in a string has to be escaped") }
            if currentCharacter == "\\" {
                place += 1
                guard let escape = currentCharacter, "\"\\/bfnrtu".contains(escape) else {
                    throw fault("there is no such escape")
                }
            }
            place += 1
        }
        guard current != nil else { throw fault("") }
        place += 1
    }

    /// The decoder checks the digits.
    private mutating func readNumber() {
        while let character = currentCharacter, "+-.eE0123456789".contains(character) { place += 1 }
    }

    private mutating func readWord() throws(Fault) {
        for word in ["true", "false", "null"] where bytes[place...].starts(with: word.utf8) {
            place += word.utf8.count
            return
        }
        throw fault("expected a value")
    }
}
