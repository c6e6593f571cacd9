// SPDX-License-Identifier: Apache-2.0

import LXCCore

extension HostDevice {
    /// Reads a `<hostdev>`.
    init(reading element: XMLFragment) throws {
        var rest = element
        self.init(try Source(taking: &rest) ?? .other)
        rest.sort(Self.order)
        other = rest
    }

    /// The `<hostdev>`.
    func written() throws -> XMLFragment {
        var element = other
        switch source {
        case .storage(let path): try write(&element, "storage", "block", path, .absoluteFilePath)
        case .character(let path): try write(&element, "misc", "char", path, .absoluteFilePath)
        case .network(let device): try write(&element, "net", "interface", device, .deviceName)
        case .other: break
        }
        element.sort(Self.order)
        return element
    }

    private func write(
        _ element: inout XMLFragment, _ type: String, _ name: XMLName, _ value: String, _ rule: TextRule
    ) throws {
        try element.set("mode", Self.mode)
        try element.set("type", type)
        try element.write("source") { try $0.writeText(name, value, rule) }
    }

    fileprivate static let mode = "capabilities"
    private static let order = ["source", "alias", "address"]
}

extension HostDevice.Source {
    /// Removes mode, type and source from the element if their combination is known; otherwise returns `nil` and
    /// removes nothing.
    fileprivate init?(taking rest: inout XMLFragment) throws {
        guard rest[attribute: "mode"] == HostDevice.mode, let type = rest[attribute: "type"] else { return nil }
        let known: Self? =
            switch type {
            case "storage": try rest.read("source") { try $0.readText("block").map(Self.storage) }
            case "misc": try rest.read("source") { try $0.readText("char").map(Self.character) }
            case "net": try rest.read("source") { try $0.readText("interface").map(Self.network) }
            default: nil
            }
        guard let known else { return nil }
        _ = rest.take("mode")
        _ = rest.take("type")
        self = known
    }
}
