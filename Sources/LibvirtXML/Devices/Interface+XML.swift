// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import LXCCore

extension Interface {
    /// Reads an interface's document, as one gives it to libvirt to attach.
    ///
    /// - Throws: `LXCError` as for a whole domain.
    public init(xml text: String) throws {
        let document = try XMLFragment(xml: text)
        try document.expect("interface")
        try self.init(reading: document)
    }

    /// The interface as a document of its own.
    ///
    /// - Throws: `LXCError` as for a whole domain.
    public func xml() throws -> String {
        try FieldFault.reported { try written().printed() }
    }

    /// Whether a network device of the host or of a container can have the name: 1 to 15 of `A-Z a-z 0-9 . _ -`.
    package static func isDeviceName(_ name: String) -> Bool { TextRule.isDeviceName(name) }

    /// Reads an `<interface>`.
    init(reading element: XMLFragment) throws {
        var rest = element
        self.init(try Kind(taking: &rest))
        mac = try rest.read("mac") { try MACAddress(taking: &$0) }
        model = try rest.read("model") { $0.take("type") }
        targetDevice = try rest.read("target") { $0.take("dev") }
        guestDevice = try rest.read("guest") { $0.take("dev") }
        mtu = try rest.read("mtu") { try $0.takeNumber("size") }
        linkState = try rest.read("link") { $0.takeCase("state") }
        filter = try rest.read("filterref", FilterReference.init(taking:))
        bandwidth = try rest.read("bandwidth", Bandwidth.init(taking:))
        isPortIsolated = try rest.read("port") { $0.takeCase("isolated") as Answer? } == .yes
        virtualPort = try rest.read("virtualport", VirtualPort.init(taking:))
        rest.sort(Self.order)
        other = rest
    }

    /// The `<interface>`.
    func written() throws -> XMLFragment {
        var element = other
        element.name = "interface"
        try kind.write(&element)
        try element.write("mac") { try $0.set("address", mac?.description) }
        try element.write("model") { try $0.set("type", model, .word) }
        try element.write("target") { try $0.set("dev", targetDevice, .deviceName) }
        try element.write("guest") { try $0.set("dev", guestDevice, .deviceName) }
        // 68 bytes is the least that IPv4 can live with, and the kernel's own least for most devices.
        try element.write("mtu") { try $0.set("size", mtu, in: 68...65535) }
        try element.write("link") { try $0.set("state", linkState?.rawValue) }
        try element.write("filterref") { try filter?.write(&$0) }
        try element.write("bandwidth") { try bandwidth?.write(&$0) }
        try element.write("port") { try $0.set("isolated", isPortIsolated ? Answer.yes.rawValue : nil) }
        try element.write("virtualport") { try virtualPort?.write(&$0) }
        element.sort(Self.order)
        return element
    }

    private static let order = [
        "mac", "source", "virtualport", "vlan", "backend", "script", "target", "guest", "model", "driver",
        "filterref", "bandwidth", "link", "mtu", "port", "boot", "alias", "address",
    ]

    private enum Answer: String { case yes, no }
}

extension Interface.Kind {
    /// Removes the type and the source from the element; an interface with an unknown kind of source keeps the type
    /// `other`.
    fileprivate init(taking rest: inout XMLFragment) throws {
        let type = try rest.required(rest.take("type"), "type")
        let known: Self? =
            switch type {
            case "bridge": try rest.read("source") { $0.take("bridge").map(Self.bridge) }
            case "network": try rest.read("source") { $0.take("network").map(Self.network) }
            case "direct":
                try rest.read("source") { source in
                    source.take("dev").map { .direct(device: $0, mode: source.takeCase("mode")) }
                }
            case "ethernet": .ethernet
            default: nil
            }
        self = known ?? .other(type: type)
    }

    fileprivate func write(_ element: inout XMLFragment) throws {
        switch self {
        case .bridge(let name):
            try element.set("type", "bridge")
            try element.write("source") { try $0.set("bridge", name, .deviceName) }
        case .network(let name):
            try element.set("type", "network")
            try element.write("source") { try $0.set("network", name, .objectName) }
        case .direct(let device, let mode):
            try element.set("type", "direct")
            try element.write("source") { source in
                try source.set("dev", device, .deviceName)
                try source.set("mode", mode?.rawValue)
            }
        case .ethernet: try element.set("type", "ethernet")
        case .other(let type): try element.set("type", type, .word)
        }
    }
}

extension MACAddress {
    fileprivate init?(taking rest: inout XMLFragment) throws {
        guard let text = rest.take("address") else { return nil }
        do { try self.init(text) } catch let error as LXCError { throw LXCError(.corrupt, error.message) }
    }
}

extension Interface.FilterReference {
    fileprivate init?(taking rest: inout XMLFragment) throws {
        guard let filter = rest.take("filter") else { return nil }
        self.init(filter)
        parameters = try rest.readEach("parameter") { parameter in
            guard let name = parameter.take("name"), let value = parameter.take("value") else { return nil }
            return parameter.whole(Parameter(name, value))
        }
    }

    fileprivate func write(_ element: inout XMLFragment) throws {
        try element.set("filter", filter, .filterName)
        try element.writeEach("parameter", parameters) { parameter in
            var child = XMLFragment("parameter")
            try child.set("name", parameter.name, .filterVariable)
            try child.set("value", parameter.value, .filterValue)
            return child
        }
    }
}

extension Interface.Bandwidth {
    fileprivate init?(taking rest: inout XMLFragment) throws {
        try self.init(
            inbound: rest.read("inbound", Interface.Rate.init(taking:)),
            outbound: rest.read("outbound", Interface.Rate.init(taking:)))
        if inbound == nil, outbound == nil { return nil }
    }

    fileprivate func write(_ element: inout XMLFragment) throws {
        try element.write("inbound") { try inbound?.write(&$0) }
        try element.write("outbound") { try outbound?.write(&$0) }
        element.sort(["inbound", "outbound"])
    }
}

extension Interface.Rate {
    fileprivate init?(taking rest: inout XMLFragment) throws {
        guard let average: UInt32 = try rest.takeNumber("average") else { return nil }
        try self.init(average: average, peak: rest.takeNumber("peak"), burst: rest.takeNumber("burst"))
    }

    fileprivate func write(_ element: inout XMLFragment) throws {
        try element.set("average", average, in: 1...UInt32.max)
        try element.set("peak", peak, in: 1...UInt32.max)
        try element.set("burst", burst, in: 1...UInt32.max)
    }
}

extension Interface.VirtualPort {
    fileprivate init?(taking rest: inout XMLFragment) throws {
        guard let type = rest.take("type") else { return nil }
        try self.init(type: type, interfaceID: rest.read("parameters") { try $0.takeUUID("interfaceid") })
    }

    fileprivate func write(_ element: inout XMLFragment) throws {
        try element.set("type", type, .word)
        try element.write("parameters") { try $0.set("interfaceid", interfaceID?.uuidString.lowercased()) }
    }
}
