// SPDX-License-Identifier: Apache-2.0

/// The name of an XML element or attribute.
///
/// Names are equal when local part and namespace are: the prefix is how one document happened to spell the namespace.
public struct XMLName: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    /// The name without its prefix.
    public var local: String
    /// The namespace; nil for a name without one, like libvirt's own elements.
    public var namespace: String?
    /// The prefix the document uses for the namespace; nil for the default namespace.
    public var prefix: String?

    /// Creates a name, with or without a namespace.
    public init(_ local: String, namespace: String? = nil, prefix: String? = nil) {
        self.local = local
        self.namespace = namespace
        self.prefix = prefix
    }

    /// A name in no namespace.
    public init(stringLiteral value: String) { self.init(value) }

    /// The name as a document shows it, `prefix:local`.
    public var description: String { prefix.map { "\($0):\(local)" } ?? local }

    /// Whether local part and namespace are equal.
    public static func == (left: Self, right: Self) -> Bool {
        left.local == right.local && left.namespace == right.namespace
    }

    /// Hashes what `==` compares.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(local)
        hasher.combine(namespace)
    }
}

/// An XML element with all it holds, as a value.
///
/// The model keeps the unknown parts of a document in such fragments and writes them back, so a document that passes
/// through this module loses nothing but comments, processing instructions and layout.
public struct XMLFragment: Hashable, Sendable {
    /// An attribute of an element.
    public struct Attribute: Hashable, Sendable {
        /// The attribute's name.
        public var name: XMLName
        /// The attribute's value, unescaped.
        public var value: String

        /// Creates an attribute.
        public init(_ name: XMLName, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// A namespace an element declares.
    public struct Declaration: Hashable, Sendable {
        /// The prefix; nil declares the default namespace.
        public var prefix: String?
        /// The namespace; empty cancels the default namespace.
        public var namespace: String

        /// Creates a declaration from prefix and namespace.
        public init(prefix: String?, namespace: String) {
            self.prefix = prefix
            self.namespace = namespace
        }
    }

    /// The contents of an element.
    public enum Node: Hashable, Sendable {
        /// A child element.
        case element(XMLFragment)
        /// Text, unescaped.
        case text(String)
    }

    /// The element's name.
    public var name: XMLName
    /// The namespaces declared on this element.
    public var declarations: [Declaration]
    /// The attributes, in the document's order.
    public var attributes: [Attribute]
    /// Child elements and text, in the document's order.
    public var children: [Node]

    /// An element; without further arguments an empty one.
    public init(
        _ name: XMLName, declarations: [Declaration] = [], attributes: [Attribute] = [], children: [Node] = []
    ) {
        self.name = name
        self.declarations = declarations
        self.attributes = attributes
        self.children = children
    }

    /// An element that holds text alone.
    public init(_ name: XMLName, text: String) {
        self.init(name, children: text.isEmpty ? [] : [.text(text)])
    }

    /// The child elements, without the text between them.
    public var elements: [XMLFragment] {
        children.compactMap { if case .element(let element) = $0 { element } else { nil } }
    }

    /// The text directly inside this element.
    public var text: String {
        children.reduce(into: "") { if case .text(let part) = $1 { $0 += part } }
    }

    /// The value of an attribute, or `nil`.
    public subscript(attribute name: XMLName) -> String? {
        attributes.first { $0.name == name }?.value
    }

    /// Whether nothing but the name is left.
    var isEmpty: Bool { declarations.isEmpty && attributes.isEmpty && children.isEmpty }
}
