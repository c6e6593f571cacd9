// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials

/// A guest's network interface: libvirt's `<interface>`.
public struct Interface: Hashable, Sendable {
    /// The connection of the interface.
    public enum Kind: Hashable, Sendable {
        /// A bridge of the host, by name.
        case bridge(String)
        /// A device of the host itself, by name, without a bridge; nil leaves the mode to libvirt.
        case direct(device: String, mode: DirectMode?)
        /// A network libvirt manages, by name.
        case network(String)
        /// A device that libvirt connects to nothing; its creator does.
        case ethernet
        /// A type unknown to this model; its `<source>` stays in ``Interface/other``.
        case other(type: String)
    }

    /// The peers reachable for guests on one device of the host.
    public enum DirectMode: String, Hashable, Sendable, Codable, CaseIterable {
        /// The world outside; never each other.
        case `private`
        /// The world outside and each other.
        case bridge
        /// All by way of the switch the device is connected to.
        case vepa
        /// The guest has the device to itself.
        case passthrough
    }

    /// Whether the virtual cable is plugged in.
    public enum LinkState: String, Hashable, Sendable, Codable, CaseIterable {
        /// Plugged in.
        case up
        /// Pulled out.
        case down
    }

    /// The limits of both directions.
    public struct Bandwidth: Hashable, Sendable {
        /// Towards the guest.
        public var inbound: Rate?
        /// From the guest.
        public var outbound: Rate?

        /// Creates bandwidth limits; `nil` is no limit.
        public init(inbound: Rate? = nil, outbound: Rate? = nil) {
            self.inbound = inbound
            self.outbound = outbound
        }
    }

    /// The limit of one direction, in units of 1024 bytes.
    public struct Rate: Hashable, Sendable {
        /// The average in KiB for each second, at least 1.
        public var average: UInt32
        /// The most in KiB for each second while a burst lasts, at least 1.
        public var peak: UInt32?
        /// The KiB that can be sent at peak speed, at least 1.
        public var burst: UInt32?

        /// Creates a rate.
        public init(average: UInt32, peak: UInt32? = nil, burst: UInt32? = nil) {
            self.average = average
            self.peak = peak
            self.burst = burst
        }
    }

    /// A network filter of libvirt's with the values of its variables.
    public struct FilterReference: Hashable, Sendable {
        /// The value of a variable. A variable may have several.
        public struct Parameter: Hashable, Sendable {
            /// The variable's name: letters, digits and underscores.
            public var name: String
            /// The value: letters, digits, dots, colons and underscores.
            public var value: String

            /// Creates a parameter.
            public init(_ name: String, _ value: String) {
                self.name = name
                self.value = value
            }
        }

        /// The filter's name, such as `clean-traffic`.
        public var filter: String
        /// The values of its variables.
        public var parameters: [Parameter]

        /// Creates a filter reference.
        public init(_ filter: String, parameters: [Parameter] = []) {
            self.filter = filter
            self.parameters = parameters
        }
    }

    /// A port of a virtual switch, such as Open vSwitch's.
    public struct VirtualPort: Hashable, Sendable {
        /// The kind of switch, such as `openvswitch`.
        public var type: String
        /// The interface's identity at the switch.
        public var interfaceID: UUID?

        /// Creates a virtual port from kind and identity.
        public init(type: String, interfaceID: UUID? = nil) {
            self.type = type
            self.interfaceID = interfaceID
        }
    }

    /// The connection of the interface.
    public var kind: Kind
    /// The hardware address the guest sees; `nil` lets libvirt make one.
    public var mac: MACAddress?
    /// The hardware a virtual machine sees, such as `virtio`; of no account in a container.
    public var model: String?
    /// The name of the host's end, at most 15 bytes; `nil` lets libvirt make one.
    public var targetDevice: String?
    /// The name in the container, at most 15 bytes; by default libvirt numbers eth0, eth1, ….
    public var guestDevice: String?
    /// The largest packet in bytes.
    public var mtu: Int?
    /// Whether the virtual cable is plugged in; nil is plugged in.
    public var linkState: LinkState?
    /// The network filter.
    public var filter: FilterReference?
    /// The limits of both directions.
    public var bandwidth: Bandwidth?
    /// Whether guests with isolated ports on the same bridge cannot reach each other.
    public var isPortIsolated = false
    /// The port of a virtual switch.
    public var virtualPort: VirtualPort?
    /// The parts of the element no property models; the element's name is of no account.
    public var other = XMLFragment("interface")

    /// An interface that is connected and no more.
    public init(_ kind: Kind, mac: MACAddress? = nil) {
        self.kind = kind
        self.mac = mac
    }
}
