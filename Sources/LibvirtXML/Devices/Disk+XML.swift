// SPDX-License-Identifier: Apache-2.0

import LXCCore

extension Disk {
    /// Reads a `<disk>`.
    init(reading element: XMLFragment) throws {
        var rest = element
        let source = try Source(taking: &rest)
        let target = try rest.read("target") { target in
            target.take("dev").map { (device: $0, bus: target.take("bus")) }
        }
        let name = try rest.required(target, "target")
        self.init(source, target: name.device, bus: name.bus)
        if let text = rest.take("device") {
            device = try rest.required(Device(rawValue: text), "device this model knows")
        }
        (driverName, format) = try rest.read("driver") { ($0.take("name"), $0.take("type")) } ?? (nil, nil)
        isReadOnly = try rest.readFlag("readonly")
        serial = try rest.readText("serial")
        bootOrder = try rest.read("boot") { try $0.takeNumber("order") }
        rest.sort(Self.order)
        other = rest
    }

    /// The `<disk>`.
    func written() throws -> XMLFragment {
        var element = other
        try source.write(&element)
        try element.set("device", device.rawValue)
        try element.write("driver") { driver in
            try driver.set("name", driverName, .word)
            try driver.set("type", format, .word)
        }
        try element.write("target") { element in
            try element.set("dev", target, .diskName)
            try element.set("bus", bus, .word)
        }
        element.writeFlag("readonly", isReadOnly)
        try element.writeText("serial", serial, .serial)
        try element.write("boot") { try $0.set("order", bootOrder, in: 1...Int(Int32.max)) }
        element.sort(Self.order)
        return element
    }

    private static let order = [
        "driver", "auth", "source", "backingStore", "target", "iotune", "readonly", "shareable", "serial", "wwn",
        "boot", "encryption", "alias", "address",
    ]
}

extension Disk.Source {
    fileprivate init(taking rest: inout XMLFragment) throws {
        switch rest.take("type") ?? "file" {
        case "file": self = .file(try rest.read("source") { $0.take("file") })
        case "block": self = .block(try rest.read("source") { $0.take("dev") })
        case let type: self = .other(type: type)
        }
    }

    fileprivate func write(_ element: inout XMLFragment) throws {
        switch self {
        case .file(let path):
            try element.set("type", "file")
            try element.write("source") { try $0.set("file", path, .absoluteFilePath) }
        case .block(let path):
            try element.set("type", "block")
            try element.write("source") { try $0.set("dev", path, .absoluteFilePath) }
        case .other(let type): try element.set("type", type, .word)
        }
    }
}
