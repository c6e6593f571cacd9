// SPDX-License-Identifier: Apache-2.0

import CLibXML2
import LXCCore

extension XMLFragment {
    /// Reads a document of one element.
    ///
    /// Comments, processing instructions and the white space between elements are left out. Documents are UTF-8,
    /// whatever their XML declaration says.
    ///
    /// - Throws: `LXCError` with code `corrupt` when the text is not well-formed XML (the message names the line),
    ///   `unsafe` when it has a DOCTYPE, `limitExceeded` beyond 4 MiB or 64 elements inside each other.
    public init(xml text: String) throws {
        let document = try XMLDocument(parsing: text)
        guard let root = document.root else {
            throw LXCError(.corrupt, "the document has no element")
        }
        self.init(borrowing: root)
    }

    /// Reads a document of one element from UTF-8.
    ///
    /// - Throws: what ``init(xml:)-(String)`` throws; bytes that are not UTF-8 are `corrupt`.
    public init(xml bytes: some Sequence<UInt8>) throws {
        try self.init(xml: String(documentBytes: bytes))
    }

    /// Copies an element and everything in it. The parser has limited the depth of this recursion.
    private init(borrowing node: xmlNodePtr) {
        self.init(
            XMLName(node.pointee.name, node.pointee.ns),
            declarations: Self.declarations(of: node),
            attributes: Self.attributes(of: node),
            children: Self.children(of: node))
    }

    private static func declarations(of node: xmlNodePtr) -> [Declaration] {
        sequence(first: node.pointee.nsDef) { $0?.pointee.next }
            .prefix { $0 != nil }
            .compactMap { $0?.pointee }
            .map { Declaration(prefix: String(xml: $0.prefix), namespace: String(xml: $0.href) ?? "") }
    }

    private static func attributes(of node: xmlNodePtr) -> [Attribute] {
        sequence(first: node.pointee.properties) { $0?.pointee.next }
            .prefix { $0 != nil }
            .compactMap { $0?.pointee }
            .map { attribute in
                let value = nodes(from: attribute.children).compactMap { String(xml: $0.pointee.content) }.joined()
                return Attribute(XMLName(attribute.name, attribute.ns), value)
            }
    }

    private static func children(of node: xmlNodePtr) -> [Node] {
        var children: [Node] = []
        for child in nodes(from: node.pointee.children) {
            switch child.pointee.type {
            case XML_ELEMENT_NODE: children.append(.element(XMLFragment(borrowing: child)))
            case XML_TEXT_NODE: append(String(xml: child.pointee.content) ?? "", to: &children)
            default: break
            }
        }
        return withoutLayout(children)
    }

    /// Joins text that a comment had split, so that equal contents are equal values.
    private static func append(_ text: String, to children: inout [Node]) {
        if case .text(let before) = children.last {
            children[children.count - 1] = .text(before + text)
        } else {
            children.append(.text(text))
        }
    }

    /// Omits white space used only for layout. In an element with words between its elements, and in one with text
    /// alone, white space is kept, because it may be significant.
    private static func withoutLayout(_ children: [Node]) -> [Node] {
        let isLayout = { (node: Node) in
            if case .text(let text) = node {
                text.utf8.allSatisfy { [0x09, 0x0a, 0x0d, 0x20].contains($0) }
            } else {
                false
            }
        }
        let hasElements = children.contains { if case .element = $0 { true } else { false } }
        let hasWords = children.contains { if case .text = $0 { !isLayout($0) } else { false } }
        return hasElements && !hasWords ? children.filter { !isLayout($0) } : children
    }

    private static func nodes(from first: xmlNodePtr?) -> some Sequence<xmlNodePtr> {
        sequence(state: first) { next in
            defer { next = next?.pointee.next }
            return next
        }
    }
}

extension XMLName {
    fileprivate init(_ name: UnsafePointer<xmlChar>?, _ namespace: xmlNsPtr?) {
        self.init(
            String(xml: name) ?? "", namespace: String(xml: namespace?.pointee.href),
            prefix: String(xml: namespace?.pointee.prefix))
    }
}

extension String {
    /// Creates a string from text of libxml2; nil for NULL.
    init?(xml text: UnsafePointer<xmlChar>?) {
        guard let text else { return nil }
        self.init(cString: text)
    }

    /// The text of a document given as bytes.
    init(documentBytes bytes: some Sequence<UInt8>) throws {
        guard let text = String(validating: Array(bytes.prefix(XMLLimits.bytes + 1)), as: UTF8.self) else {
            throw LXCError(.corrupt, "the document is not UTF-8")
        }
        self = text
    }
}
