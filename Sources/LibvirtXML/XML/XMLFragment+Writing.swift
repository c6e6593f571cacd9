// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// Writing puts the model's values back into what reading had left of an element.
///
/// A nil value leaves the element unchanged: reading removed the known value, so any value still present is unknown to
/// the model.
extension XMLFragment {
    /// Sets an attribute.
    mutating func set(_ attribute: XMLName, _ value: String?, _ rule: TextRule = .any) throws {
        guard let value else { return }
        try FieldFault.inside("@\(attribute.local)") { try rule.check(value) }
        if let index = attributes.firstIndex(where: { $0.name == attribute }) {
            attributes[index].value = value
        } else {
            attributes.append(Attribute(attribute, value))
        }
    }

    /// Sets an attribute to a number of a range.
    mutating func set<Value: FixedWidthInteger>(
        _ attribute: XMLName, _ value: Value?, in range: ClosedRange<Value>
    ) throws {
        guard let value else { return }
        try FieldFault.inside("@\(attribute.local)") { try Self.check(value, in: range) }
        try set(attribute, String(value))
    }

    /// Sets the element's text.
    mutating func setText(_ value: String) {
        _ = takeText()
        if !value.isEmpty { children.insert(.text(value), at: 0) }
    }

    /// Sets the element's text to a number of a range.
    mutating func setNumber<Value: FixedWidthInteger>(_ value: Value, in range: ClosedRange<Value>) throws {
        try Self.check(value, in: range)
        setText(String(value))
    }

    /// Lets `body` fill the one child element of a name. A child that stays empty is omitted.
    mutating func write(_ name: XMLName, _ body: (inout XMLFragment) throws -> Void) throws {
        let place = places(of: name).first
        var child = XMLFragment(name)
        if let place, case .element(let present) = children[place] { child = present }
        try FieldFault.inside(name.local) { try body(&child) }
        switch (place, child.isEmpty) {
        case (let place?, true): children.remove(at: place)
        case (let place?, false): children[place] = .element(child)
        case (nil, true): break
        case (nil, false): children.append(.element(child))
        }
    }

    /// Writes a child element of text, which may be empty.
    mutating func writeText(_ name: XMLName, _ value: String?, _ rule: TextRule = .any) throws {
        guard let value else { return }
        try FieldFault.inside(name.local) { try rule.check(value) }
        try write(name) { $0.setText(value) }
        writeFlag(name, true)
    }

    /// Writes a child element that is a number of a range.
    mutating func writeNumber<Value: FixedWidthInteger>(
        _ name: XMLName, _ value: Value?, in range: ClosedRange<Value> = Value.min...Value.max
    ) throws {
        guard let value else { return }
        try write(name) { try $0.setNumber(value, in: range) }
    }

    /// Writes a child element that is a size.
    mutating func writeSize(_ name: XMLName, _ value: ByteCount?) throws {
        guard let value else { return }
        try write(name) {
            try $0.set("unit", "KiB")
            $0.setText(String(value.kibibytes))
        }
    }

    /// Writes a child element that is there or not.
    mutating func writeFlag(_ name: XMLName, _ isThere: Bool) {
        let places = places(of: name)
        if isThere, places.isEmpty { children.append(.element(XMLFragment(name))) }
        if !isThere { for place in places.reversed() { children.remove(at: place) } }
    }

    /// Writes a child element for each value.
    mutating func writeEach<Value>(
        _ name: XMLName, _ values: [Value], _ body: (Value) throws -> XMLFragment
    ) throws {
        for (index, value) in values.enumerated() {
            let step = values.count == 1 ? name.local : "\(name.local)[\(index + 1)]"
            var child = try FieldFault.inside(step) { try body(value) }
            child.name = name
            children.append(.element(child))
        }
    }

    /// Puts the child elements in a fixed order; those without a place in it come last, in the order they have.
    mutating func sort(_ order: [String]) {
        let ranks = Dictionary(uniqueKeysWithValues: zip(order, order.indices))
        let rank = { (node: Node) in
            if case .element(let element) = node, element.name.namespace == nil {
                ranks[element.name.local] ?? order.count
            } else {
                order.count
            }
        }
        children = children.enumerated()
            .sorted { (rank($0.element), $0.offset) < (rank($1.element), $1.offset) }
            .map(\.element)
    }

    private static func check<Value: FixedWidthInteger>(_ value: Value, in range: ClosedRange<Value>) throws {
        guard range.contains(value) else {
            throw FieldFault("cannot be \(value); expected \(range.lowerBound) to \(range.upperBound)")
        }
    }
}
