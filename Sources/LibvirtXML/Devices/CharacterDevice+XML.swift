// SPDX-License-Identifier: Apache-2.0

import LXCCore

extension CharacterDevice {
    /// Reads a `<console>` or `<serial>`.
    init(reading element: XMLFragment) throws {
        var rest = element
        self.init(try Source(taking: &rest))
        try rest.read("target") { target in
            targetType = target.take("type")
            port = try target.takeNumber("port")
            return nil as Void?
        }
        alias = try rest.read("alias") { $0.take("name") }
        // Consoles and serial ports are values of one type: equal contents are equal values.
        rest.name = "console"
        rest.sort(Self.order)
        other = rest
    }

    /// The `<console>` or `<serial>`; its list names it.
    func written() throws -> XMLFragment {
        var element = other
        try source.write(&element)
        try element.write("target") { target in
            try target.set("type", targetType, .word)
            try target.set("port", port, in: 0...Int(UInt16.max))
        }
        try element.write("alias") { try $0.set("name", alias, .word) }
        element.sort(Self.order)
        return element
    }

    fileprivate static let order = ["source", "protocol", "log", "target", "alias", "address"]
}

extension Channel {
    /// Reads a `<channel>`.
    init(reading element: XMLFragment) throws {
        var rest = element
        let source = try CharacterDevice.Source(taking: &rest)
        let name = try rest.read("target") { target in
            guard target[attribute: "type"] == Self.targetType, let name = target.take("name") else {
                return nil as String?
            }
            _ = target.take("type")
            return name
        }
        self.init(source, name: name)
        alias = try rest.read("alias") { $0.take("name") }
        rest.sort(CharacterDevice.order)
        other = rest
    }

    /// The `<channel>`.
    func written() throws -> XMLFragment {
        var element = other
        try source.write(&element)
        try element.write("target") { target in
            guard let name else { return }
            try target.set("type", Self.targetType)
            try target.set("name", name, .line)
        }
        try element.write("alias") { try $0.set("name", alias, .word) }
        element.sort(CharacterDevice.order)
        return element
    }

    private static let targetType = "virtio"
}

extension CharacterDevice.Source {
    /// Removes the type and the source from the element; a device with an unknown kind of source keeps the type
    /// `other`.
    fileprivate init(taking rest: inout XMLFragment) throws {
        let type = rest.take("type") ?? "pty"
        let known: Self? =
            switch type {
            case "pty": .pty(path: try rest.read("source") { $0.take("path") })
            case "unix":
                try rest.read("source") { .unix(path: $0.take("path"), mode: $0.takeCase("mode")) }
                    ?? .unix(path: nil, mode: nil)
            case "file": try rest.read("source") { $0.take("path").map(Self.file) }
            case "null": .null
            default: nil
            }
        self = known ?? .other(type: type)
    }

    fileprivate func write(_ element: inout XMLFragment) throws {
        switch self {
        case .pty(let path):
            try element.set("type", "pty")
            try element.write("source") { try $0.set("path", path, .absoluteFilePath) }
        case .unix(let path, let mode):
            try element.set("type", "unix")
            try element.write("source") { source in
                try source.set("mode", mode?.rawValue)
                try source.set("path", path, .absoluteFilePath)
            }
        case .file(let path):
            try element.set("type", "file")
            try element.write("source") { try $0.set("path", path, .absoluteFilePath) }
        case .null: try element.set("type", "null")
        case .other(let type): try element.set("type", type, .word)
        }
    }
}
