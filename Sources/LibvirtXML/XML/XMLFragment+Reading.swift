// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import LXCCore

/// Reading removes from an element the parts the model understands. The rest is unknown to the model, and kept
/// unchanged.
extension XMLFragment {
    /// Removes and returns an attribute.
    mutating func take(_ attribute: XMLName) -> String? {
        guard let index = attributes.firstIndex(where: { $0.name == attribute }) else { return nil }
        return attributes.remove(at: index).value
    }

    /// Removes and returns an attribute whose value is one of a list; another value stays.
    mutating func takeCase<Value: RawRepresentable<String>>(_ attribute: XMLName) -> Value? {
        guard let value = self[attribute: attribute].flatMap(Value.init(rawValue:)) else { return nil }
        _ = take(attribute)
        return value
    }

    /// Removes and returns an attribute that is a whole number.
    mutating func takeNumber<Value: FixedWidthInteger>(_ attribute: XMLName) throws -> Value? {
        guard let text = take(attribute) else { return nil }
        return try Self.number(text, "the attribute \(attribute) of <\(name)>")
    }

    /// Removes and returns an attribute that is a UUID.
    mutating func takeUUID(_ attribute: XMLName) throws -> UUID? {
        guard let text = take(attribute) else { return nil }
        return try Self.uuid(text, "the attribute \(attribute) of <\(name)>")
    }

    /// Removes and returns the element's text.
    mutating func takeText() -> String {
        defer { children.removeAll { if case .text = $0 { true } else { false } } }
        return text
    }

    /// Removes and returns the element's text if it is one of a list; another text stays.
    mutating func takeCase<Value: RawRepresentable<String>>() -> Value? {
        guard let value = Value(rawValue: text.withoutSpace) else { return nil }
        _ = takeText()
        return value
    }

    /// Removes and returns the element's text, a whole number.
    mutating func takeNumber<Value: FixedWidthInteger>() throws -> Value {
        try Self.number(takeText(), "<\(name)>")
    }

    /// Removes and returns the element's text, a UUID.
    mutating func takeUUID() throws -> UUID { try Self.uuid(takeText(), "<\(name)>") }

    /// Removes and returns the element's text and unit as a size; without a unit it is in KiB.
    mutating func takeSize() throws -> ByteCount {
        let unit = take("unit")
        return try Self.size(takeText(), unit: unit, "<\(name)>")
    }

    /// Lets `body` take from the one child element of a name, and removes the child when nothing is left of it.
    mutating func read<Value>(
        _ name: XMLName, _ body: (inout XMLFragment) throws -> Value?
    ) throws -> Value? {
        let places = places(of: name)
        guard places.count <= 1 else {
            throw LXCError(.corrupt, "<\(self.name)> has \(places.count) elements <\(name)>, where one is allowed")
        }
        guard let place = places.first, case .element(var child) = children[place] else { return nil }
        let value = try body(&child)
        if child.isEmpty { children.remove(at: place) } else { children[place] = .element(child) }
        return value
    }

    /// Removes the one child element of a name and returns its text.
    mutating func readText(_ name: XMLName) throws -> String? { try read(name) { $0.takeText() } }

    /// Whether there is a child element of a name. It is taken when there is nothing in it.
    mutating func readFlag(_ name: XMLName) throws -> Bool { try read(name) { _ in true } ?? false }

    /// Removes the child elements of a name for which `body` returns a value; the others stay as they were.
    mutating func readEach<Value>(
        _ name: XMLName, _ body: (inout XMLFragment) throws -> Value?
    ) throws -> [Value] {
        var values: [Value] = []
        var rest: [Node] = []
        for node in children {
            if case .element(var child) = node, child.name == name, let value = try body(&child) {
                values.append(value)
            } else {
                rest.append(node)
            }
        }
        children = rest
        return values
    }

    /// Moves what elements of the same name hold into the first of them.
    mutating func merge(_ name: XMLName) {
        let places = places(of: name)
        guard places.count > 1, let first = places.first else { return }
        let merged = places.reduce(into: XMLFragment(name)) { merged, place in
            guard case .element(let element) = children[place] else { return }
            merged.declarations += element.declarations
            merged.attributes += element.attributes
            merged.children += element.children
        }
        children[first] = .element(merged)
        for place in places.dropFirst().reversed() { children.remove(at: place) }
    }

    /// The value, when `body` has taken all there was.
    func whole<Value>(_ value: Value?) -> Value? { isEmpty ? value : nil }

    /// Checks the name of a document's element.
    func expect(_ name: XMLName) throws {
        guard self.name == name else {
            throw LXCError(.corrupt, "the document is a <\(self.name.description.escapedForDisplay)>, not a <\(name)>")
        }
    }

    func places(of name: XMLName) -> [Int] {
        children.indices.filter { if case .element(let child) = children[$0] { child.name == name } else { false } }
    }
}

extension XMLFragment {
    /// The value of an attribute or element that has to be there.
    func required<Value>(_ value: Value?, _ what: String) throws -> Value {
        guard let value else { throw LXCError(.corrupt, "<\(name)> has no \(what)") }
        return value
    }

    /// A size with one of libvirt's units: KiB and KB, k alone, and so on up to E, in any case.
    static func size(_ text: String, unit: String?, _ what: String) throws -> ByteCount {
        let count: UInt64 = try number(text, what)
        guard let factor = factor(of: unit ?? "KiB") else {
            throw LXCError(.corrupt, "\(what) has the unit \"\((unit ?? "").escapedForDisplay)\", which is none")
        }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: factor)
        guard !overflow else { throw LXCError(.corrupt, "\(what) is more than a computer can hold") }
        return ByteCount(bytes)
    }

    private static func factor(of unit: String) -> UInt64? {
        let unit = unit.lowercased()
        if ["b", "byte", "bytes"].contains(unit) { return 1 }
        let exponents: [Character: Int] = ["k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6]
        guard let exponent = unit.first.flatMap({ exponents[$0] }) else { return nil }
        let bases: [String: UInt64] = ["": 1024, "ib": 1024, "b": 1000]
        return bases[String(unit.dropFirst())].map { base in (0..<exponent).reduce(1) { power, _ in power * base } }
    }

    static func number<Value: FixedWidthInteger>(_ text: String, _ what: String) throws -> Value {
        guard let number = Value(text.withoutSpace) else {
            throw LXCError(.corrupt, "\(what) is \"\(text.escapedForDisplay)\", not a whole number that fits")
        }
        return number
    }

    /// A UUID with or without its dashes, both of which libvirt reads.
    private static func uuid(_ text: String, _ what: String) throws -> UUID {
        let digits = Array(text.withoutSpace.utf8.filter { $0 != UInt8(ascii: "-") })
        let groups = [0..<8, 8..<12, 12..<16, 16..<20, 20..<32]
        let text = text.escapedForDisplay
        guard digits.count == 32,
            let uuid = UUID(
                uuidString: groups.map { String(decoding: digits[$0], as: UTF8.self) }.joined(separator: "-"))
        else { throw LXCError(.corrupt, "\(what) is \"\(text)\", not a UUID") }
        return uuid
    }
}

extension String {
    /// The text without XML's white space around it.
    fileprivate var withoutSpace: String {
        let isSpace = { (scalar: Unicode.Scalar) in " \t\r\n".unicodeScalars.contains(scalar) }
        let start = unicodeScalars.drop(while: isSpace)
        return start.lastIndex { !isSpace($0) }.map { String(start[...$0]) } ?? ""
    }
}
