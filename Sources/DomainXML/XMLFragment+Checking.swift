import CLibXML2
import LXCCore

extension XMLFragment {
    /// Checks what libxml2 would write without a question: names, characters, attributes that occur twice, depth.
    func check(depth: Int) throws {
        guard depth <= XMLLimits.depth else {
            throw FieldFault(
                "is an element inside \(XMLLimits.depth) others; at most \(XMLLimits.depth) are written",
                code: .limitExceeded)
        }
        try Self.check(name)
        for declaration in declarations { try Self.check(declaration) }
        try checkAttributes()
        try checkChildren(depth: depth)
    }

    private func checkAttributes() throws {
        var seen: Set<XMLName> = []
        for attribute in attributes {
            try FieldFault.inside("@\(attribute.name.local)") {
                try Self.check(attribute.name)
                guard attribute.name.namespace == nil || attribute.name.prefix != nil else {
                    throw FieldFault("is an attribute in a namespace and needs a prefix")
                }
                guard seen.insert(attribute.name).inserted else { throw FieldFault("is given twice") }
                try Self.check(attribute.value)
            }
        }
    }

    private func checkChildren(depth: Int) throws {
        var totals: [String: Int] = [:]
        for element in elements { totals[element.name.local, default: 0] += 1 }
        var numbers: [String: Int] = [:]
        for child in children {
            switch child {
            case .text(let text): try Self.check(text)
            case .element(let element):
                let name = element.name.local
                numbers[name, default: 0] += 1
                let isAlone = totals[name] == 1
                try FieldFault.inside(isAlone ? name : "\(name)[\(numbers[name, default: 0])]") {
                    try element.check(depth: depth + 1)
                }
            }
        }
    }

    private static func check(_ name: XMLName) throws {
        try check(part: name.local)
        if let prefix = name.prefix { try check(part: prefix) }
        if let namespace = name.namespace { try check(namespace) }
        // In no namespace, xmlns would be taken for a declaration.
        guard name.local != "xmlns", name.prefix != "xmlns" else {
            throw FieldFault("uses the name xmlns, which is XML's own")
        }
    }

    private static func check(_ declaration: Declaration) throws {
        if let prefix = declaration.prefix {
            try check(part: prefix)
            guard !declaration.namespace.isEmpty, prefix != "xmlns" else {
                throw FieldFault("declares the prefix \"\(prefix.escapedForDisplay)\" as XML does not allow")
            }
        }
        try check(declaration.namespace)
    }

    private static func check(part name: String) throws {
        try check(name)
        guard xmlValidateNCName(name, 0) == 0 else {
            throw FieldFault("has \"\(name.escapedForDisplay)\" for a name, which XML does not allow")
        }
    }

    private static func check(_ text: String) throws {
        guard let scalar = text.unicodeScalars.first(where: { !isXML($0) }) else { return }
        let number = String(scalar.value, radix: 16, uppercase: true)
        throw FieldFault("holds the character U+\(number), which XML cannot; remove it")
    }

    /// The characters of XML 1.0.
    private static func isXML(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x9, 0xa, 0xd, 0x20...0xd7ff, 0xe000...0xfffd, 0x10000...0x10ffff: true
        default: false
        }
    }
}
