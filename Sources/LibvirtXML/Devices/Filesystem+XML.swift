// SPDX-License-Identifier: Apache-2.0

import LXCCore

extension Filesystem {
    /// Reads a `<filesystem>`.
    init(reading element: XMLFragment) throws {
        var rest = element
        let source = try Source(taking: &rest)
        let target = try rest.read("target") { $0.take("dir") }
        self.init(source, target: try rest.required(target, "target"), isReadOnly: try rest.readFlag("readonly"))
        accessMode = rest.takeCase("accessmode")
        rest.sort(Self.order)
        other = rest
    }

    /// The `<filesystem>`.
    func written() throws -> XMLFragment {
        var element = other
        try source.write(&element)
        try element.set("accessmode", accessMode?.rawValue)
        try element.write("target") { try $0.set("dir", target, .line) }
        element.writeFlag("readonly", isReadOnly)
        element.sort(Self.order)
        return element
    }

    /// In a container the target is a path; in a virtual machine it is a word to mount by.
    func checkContainerTarget() throws {
        try FieldFault.inside("target") {
            try FieldFault.inside("@dir") { try TextRule.absolutePath.check(target) }
        }
    }

    private static let order = ["driver", "binary", "source", "target", "readonly", "alias", "address"]
}

extension Filesystem.Source {
    /// Removes the type and the source from the element; a file system with an unknown kind of source keeps the type
    /// `other`.
    fileprivate init(taking rest: inout XMLFragment) throws {
        let type = rest.take("type") ?? "mount"
        let known: Self? =
            switch type {
            case "mount": try rest.read("source") { $0.take("dir").map(Self.mount) }
            case "bind": try rest.read("source") { $0.take("dir").map(Self.bind) }
            case "file": try rest.read("source") { $0.take("file").map(Self.file) }
            case "block": try rest.read("source") { $0.take("dev").map(Self.block) }
            case "ram":
                try rest.read("source") { source in
                    guard let usage = source.take("usage") else { return nil }
                    let size = try XMLFragment.size(usage, unit: source.take("units"), "the size of a ram file system")
                    return .ram(size)
                }
            default: nil
            }
        self = known ?? .other(type: type)
    }

    fileprivate func write(_ element: inout XMLFragment) throws {
        switch self {
        case .mount(let path): try write(&element, "mount", "dir", path, .absolutePath)
        case .bind(let path): try write(&element, "bind", "dir", path, .absolutePath)
        case .file(let path): try write(&element, "file", "file", path, .absoluteFilePath)
        case .block(let path): try write(&element, "block", "dev", path, .absoluteFilePath)
        case .ram(let size):
            try write(&element, "ram", "usage", String(size.kibibytes), .any)
            try element.write("source") { try $0.set("units", "KiB") }
        case .other(let type): try element.set("type", type, .word)
        }
    }

    private func write(
        _ element: inout XMLFragment, _ type: String, _ attribute: XMLName, _ value: String, _ rule: TextRule
    ) throws {
        try element.set("type", type)
        try element.write("source") { try $0.set(attribute, value, rule) }
    }
}
