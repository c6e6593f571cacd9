// SPDX-License-Identifier: Apache-2.0

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
        let isReserved = name.local == "xmlns" || name.prefix == "xmlns" || name.namespace == declarationNamespace
        guard !isReserved, (name.prefix == "xml") == (name.namespace == xmlNamespace) else {
            throw FieldFault("uses a name or namespace that is XML's own")
        }
    }

    private static func check(_ declaration: Declaration) throws {
        if let prefix = declaration.prefix {
            try check(part: prefix)
            guard !declaration.namespace.isEmpty, prefix != "xmlns", prefix != "xml" else {
                throw FieldFault("declares the prefix \"\(prefix.escapedForDisplay)\" as XML does not allow")
            }
        }
        guard ![xmlNamespace, declarationNamespace].contains(declaration.namespace) else {
            throw FieldFault("declares a namespace that is XML's own")
        }
        try check(declaration.namespace)
    }

    /// The namespace of xml:lang and its like. It always has the prefix xml and is never declared.
    private static let xmlNamespace = "http://www.w3.org/XML/1998/namespace"
    /// The namespace of declarations.
    private static let declarationNamespace = "http://www.w3.org/2000/xmlns/"

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
