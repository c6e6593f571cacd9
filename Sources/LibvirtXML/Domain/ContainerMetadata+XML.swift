// SPDX-License-Identifier: Apache-2.0

import LXCCore

extension ContainerMetadata {
    /// Reads the element, as libvirt returns it for this package's namespace.
    ///
    /// - Throws: `LXCError` with code `corrupt` if it is another element, or its pool or volume is missing or not a
    ///   UUID; the errors of reading a document.
    public init(xml text: String) throws {
        try self.init(XMLFragment(xml: text))
    }

    /// Reads the element.
    ///
    /// - Throws: `LXCError` with code `corrupt` if it is another element, or its pool or volume is missing or not a
    ///   UUID.
    public init(_ fragment: XMLFragment) throws {
        try fragment.expect(Self.name("container"))
        var rest = fragment
        try self.init(taking: &rest)
    }

    /// The element as a document of its own, as it stands in a domain's metadata.
    ///
    /// - Throws: `LXCError` with code `invalidArgument` when ``owner`` holds a character that XML 1.0 cannot hold.
    public func xml() throws -> String {
        try FieldFault.reported { try written(XMLFragment(Self.name("container"))).printed() }
    }

    fileprivate init(taking rest: inout XMLFragment) throws {
        let pool = try rest.read(Self.name("pool")) { try $0.takeUUID() }
        let volume = try rest.read(Self.name("volume")) { try $0.takeUUID() }
        let template = try rest.read(Self.name("template")) { try $0.takeUUID() }
        self.init(
            pool: PoolID(try rest.required(pool, "pool")), volume: VolumeID(try rest.required(volume, "volume")),
            template: template.map { TemplateID($0) }, owner: try rest.readText(Self.name("owner")),
            networks: try rest.readEach(Self.name("network"), Network.init(taking:)))
        stopSignal = try rest.readText(Self.name("stop-signal"))
        initSignal = try rest.readText(Self.name("init-signal"))
        restart = try rest.read(Self.name("restart")) { $0.takeCase() } ?? .never
        isHeld = try rest.readFlag(Self.name("held"))
        consoleLog = try rest.read(Self.name("console-log")) { try $0.takeNumber() }.map { ByteCount($0) }
        processes = try rest.read(Self.name("processes")) { try $0.takeNumber() }
    }

    /// Puts the values into the element.
    fileprivate func written(_ rest: XMLFragment) throws -> XMLFragment {
        var element = rest
        if !element.declarations.contains(where: { $0.prefix == Self.prefix }) {
            element.declarations.append(XMLFragment.Declaration(prefix: Self.prefix, namespace: Self.namespace))
        }
        try element.writeText(Self.name("pool"), pool.description)
        try element.writeText(Self.name("volume"), volume.description)
        try element.writeText(Self.name("template"), template?.description)
        try element.writeText(Self.name("owner"), owner)
        try element.writeText(Self.name("stop-signal"), stopSignal, .signalName)
        try element.writeText(Self.name("init-signal"), initSignal, .signalName)
        try element.writeText(Self.name("restart"), restart == .never ? nil : restart.rawValue)
        element.writeFlag(Self.name("held"), isHeld)
        try element.writeText(Self.name("console-log"), consoleLog.map { String($0.bytes) })
        try element.writeText(Self.name("processes"), processes.map { String($0) })
        try element.writeEach(Self.name("network"), networks) { try $0.written() }
        return element
    }

    fileprivate static func name(_ local: String) -> XMLName {
        XMLName(local, namespace: namespace, prefix: prefix)
    }
}

extension ContainerMetadata.Network {
    fileprivate init?(taking rest: inout XMLFragment) throws {
        guard let device: Int = try rest.takeNumber("device"), let traffic = rest.take("traffic") else { return nil }
        self.init(
            device: device, traffic: traffic, broadcast: rest.take("broadcast"), label: rest.take("label"),
            security: try rest.read(ContainerMetadata.name("security"), Security.init(taking:)))
    }

    fileprivate func written() throws -> XMLFragment {
        var element = XMLFragment(ContainerMetadata.name("network"))
        try element.set("device", device, in: 0...65535)
        try element.set("traffic", traffic, .word)
        try element.set("broadcast", broadcast, .line)
        try element.set("label", label, .deviceName)
        if let security { try element.write(ContainerMetadata.name("security"), security.write) }
        return element
    }
}

extension ContainerMetadata.Network.Security {
    /// A missing list allows everything, an empty list nothing: an attribute distinguishes them.
    private enum Rules: String { case any, listed }

    fileprivate init(taking rest: inout XMLFragment) throws {
        guard let kind: Rules = rest.takeCase("rules") else {
            throw LXCError(.corrupt, "a network's <\(rest.name)> does not say whether there are rules")
        }
        let addresses = try rest.readEach(ContainerMetadata.name("address")) { $0.takeText() }
        let rules = try rest.readEach(ContainerMetadata.name("rule")) { $0.takeText() }
        self.init(addresses: addresses, rules: kind == .listed ? rules : nil)
    }

    fileprivate func write(_ element: inout XMLFragment) throws {
        try element.set("rules", (rules == nil ? Rules.any : .listed).rawValue)
        try element.writeEach(ContainerMetadata.name("address"), addresses) { Self.text("address", $0) }
        try element.writeEach(ContainerMetadata.name("rule"), rules ?? []) { Self.text("rule", $0) }
    }

    private static func text(_ name: String, _ text: String) -> XMLFragment {
        var element = XMLFragment(ContainerMetadata.name(name))
        element.setText(text)
        return element
    }
}

extension Domain {
    /// The data this package stores with the domain; `nil` for a domain of another program.
    ///
    /// - Throws: `LXCError` with code `corrupt` when the element is there and cannot be read.
    public func containerMetadata() throws -> ContainerMetadata? {
        try metadataIndex.map { try ContainerMetadata(metadata[$0]) }
    }

    /// Sets or removes the data this package stores with the domain.
    ///
    /// Parts of the element that a newer version of this package has written stay.
    ///
    /// - Throws: `LXCError` with code `corrupt` when the element is there and cannot be read.
    public mutating func setContainerMetadata(_ value: ContainerMetadata?) throws {
        let index = metadataIndex
        guard let value else {
            if let index { metadata.remove(at: index) }
            return
        }
        guard let index else {
            try metadata.append(value.written(XMLFragment(ContainerMetadata.name("container"))))
            return
        }
        var rest = metadata[index]
        _ = try ContainerMetadata(taking: &rest)
        metadata[index] = try value.written(rest)
    }

    private var metadataIndex: Int? { metadata.firstIndex { $0.name.namespace == ContainerMetadata.namespace } }
}

extension XMLFragment {
    /// The element without its namespace, as virDomainSetMetadata expects it: libvirt adds the namespace.
    ///
    /// - Throws: `LXCError` with code `invalidArgument` for a character that XML 1.0 cannot hold.
    package func xmlWithoutNamespace() throws -> String {
        try FieldFault.reported { try withoutNamespace.printed() }
    }

    /// The same elements, in no namespace.
    fileprivate var withoutNamespace: XMLFragment {
        var element = self
        element.name = XMLName(name.local)
        element.declarations = []
        element.children = children.map { node in
            if case .element(let child) = node { .element(child.withoutNamespace) } else { node }
        }
        return element
    }
}
