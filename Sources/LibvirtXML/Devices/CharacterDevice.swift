// SPDX-License-Identifier: Apache-2.0

/// A guest's console or serial port: libvirt's `<console>` and `<serial>`.
public struct CharacterDevice: Hashable, Sendable {
    /// The host's end of the line.
    public enum Source: Hashable, Sendable {
        /// A pseudo terminal; its path is there to read while the guest runs.
        case pty(path: String?)
        /// A Unix domain socket.
        case unix(path: String?, mode: SocketMode?)
        /// A file that receives the output.
        case file(String)
        /// Nothing.
        case null
        /// A type unknown to this model; its `<source>` stays in `other`.
        case other(type: String)
    }

    /// The side that makes a Unix domain socket.
    public enum SocketMode: String, Hashable, Sendable, Codable, CaseIterable {
        /// The guest's side listens.
        case bind
        /// The guest's side connects to a socket that is there.
        case connect
    }

    /// The host's end of the line.
    public var source: Source
    /// The guest's end: `lxc` for a container's console, `serial` or `virtio` for a virtual machine's.
    public var targetType: String?
    /// The number among devices of the same kind, from 0.
    public var port: Int?
    /// libvirt's own name for the device, such as `console0`; it is there to read while the guest runs.
    public var alias: String?
    /// The parts of the element no property models; the element's name is of no account.
    public var other = XMLFragment("console")

    /// A device; without arguments a pseudo terminal.
    public init(_ source: Source = .pty(path: nil), targetType: String? = nil, port: Int? = nil) {
        self.source = source
        self.targetType = targetType
        self.port = port
    }
}

/// A named line between host and guest, as a guest agent uses: libvirt's `<channel>`.
public struct Channel: Hashable, Sendable {
    /// The host's end of the line.
    public var source: CharacterDevice.Source
    /// The name of the line in the guest, such as `org.qemu.guest_agent.0`; nil if the guest's end is of a kind unknown
    /// to this model.
    public var name: String?
    /// libvirt's own name for the device, such as `channel0`; it is there to read while the guest runs.
    public var alias: String?
    /// The parts of the element no property models; the element's name is of no account.
    public var other = XMLFragment("channel")

    /// A line with a name.
    public init(_ source: CharacterDevice.Source, name: String?) {
        self.source = source
        self.name = name
    }
}
