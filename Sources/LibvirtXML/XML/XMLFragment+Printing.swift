// SPDX-License-Identifier: Apache-2.0

import CLibXML2
import LXCCore

extension XMLFragment {
    /// The element as a document of its own: UTF-8, indented, without an XML declaration.
    ///
    /// - Throws: `LXCError` with code `invalidArgument` for a name that XML does not allow, a character that XML 1.0
    ///   cannot represent (the message names the place), or a repeated attribute; `limitExceeded` beyond 4 MiB or 64
    ///   elements inside each other.
    public func xml() throws -> String {
        try FieldFault.reported { try printed() }
    }

    /// The document's text, with faults still unreported.
    func printed() throws -> String {
        try check(depth: 1)
        let document = try XMLDocument()
        let root = try Self.node(name)
        document.setRoot(root)
        try fill(root)
        return try document.text()
    }

    private func fill(_ node: xmlNodePtr) throws {
        for declaration in declarations {
            try Self.declare(declaration.prefix, declaration.namespace, on: node)
        }
        try xmlSetNs(node, Self.namespace(of: name, for: node))
        for attribute in attributes {
            let namespace = try Self.namespace(of: attribute.name, for: node, isAttribute: true)
            guard xmlNewNsProp(node, namespace, attribute.name.local, attribute.value) != nil else {
                throw LXCError.outOfMemory
            }
        }
        for child in children {
            switch child {
            case .element(let element): try element.fill(Self.add(Self.node(element.name), to: node))
            case .text(let text) where text.isEmpty: break
            case .text(let text): _ = try Self.add(xmlNewText(text), to: node)
            }
        }
    }

    private static func node(_ name: XMLName) throws -> xmlNodePtr {
        guard let node = xmlNewNode(nil, name.local) else { throw LXCError.outOfMemory }
        return node
    }

    /// Adds a node just made to an element of the document, which then owns it.
    private static func add(_ node: xmlNodePtr?, to parent: xmlNodePtr) throws -> xmlNodePtr {
        guard let node else { throw LXCError.outOfMemory }
        guard let added = xmlAddChild(parent, node) else {
            xmlFreeNode(node)
            throw LXCError.outOfMemory
        }
        return added
    }

    @discardableResult
    private static func declare(_ prefix: String?, _ namespace: String, on node: xmlNodePtr) throws -> xmlNsPtr {
        guard let declared = xmlNewNs(node, namespace, prefix) else {
            throw FieldFault("would need the prefix \"\(prefix ?? "")\" for two namespaces; use another prefix")
        }
        return declared
    }

    /// The declaration that gives a name its namespace: the one in reach, else a new one.
    private static func namespace(
        of name: XMLName, for node: xmlNodePtr, isAttribute: Bool = false
    ) throws -> xmlNsPtr? {
        guard let namespace = name.namespace else {
            // Inside a default namespace, an element in no namespace has to take it back; attributes are never in it.
            let reached = isAttribute ? nil : String(xml: xmlSearchNs(node.pointee.doc, node, nil)?.pointee.href)
            if let reached, !reached.isEmpty { try declare(nil, "", on: node) }
            return nil
        }
        let inReach = xmlSearchNs(node.pointee.doc, node, name.prefix)
        let isRight = String(xml: inReach?.pointee.href) == namespace
        return try isRight ? inReach : declare(name.prefix, namespace, on: node)
    }
}
