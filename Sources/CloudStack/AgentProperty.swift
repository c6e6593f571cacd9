// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LibvirtXML
import VifDriver

/// One line of `agent.properties`, read as one kind of value or another.
struct AgentProperty {
    let key: String
    let value: String
    /// The whole list `value` is an element of, for errors.
    private let whole: String

    /// Creates a property of one value.
    init(key: String, value: String) { self.init(key: key, value: value, in: value) }

    private init(key: String, value: String, in list: String) {
        self.key = key
        self.value = value
        whole = list
    }

    /// The elements of a list with commas; none if the key is missing or empty.
    static func list(_ key: String, _ properties: JavaProperties) -> [AgentProperty] {
        guard let list = properties[key]?.trimmingSpaces, !list.isEmpty else { return [] }
        return list.split(separator: ",", omittingEmptySubsequences: false).map {
            AgentProperty(key: key, value: String($0).trimmingSpaces, in: list)
        }
    }

    /// An error that names key and value.
    func fault(_ reason: String) -> LXCError {
        // Keys come from a file as much as values do.
        LXCError(.invalidArgument, "\(key.escapedForDisplay)=\(Locator(whole)): \(reason)")
    }

    /// A whole number.
    func number(upTo limit: UInt64 = 1 << 40) throws -> UInt64 {
        guard let number = UInt64(value), number <= limit else {
            throw fault("expected a whole number from 0 to \(limit)")
        }
        return number
    }

    /// The directory of the local pool, or its URL.
    var path: String {
        get throws {
            guard value.hasPrefix("/") || value.hasPrefix("nfs://"), !value.utf8.contains(0) else {
                throw fault("expected an absolute path, or nfs://server/export")
            }
            // CloudStack strips it as well.
            return value.count > 1 && value.hasSuffix("/") ? String(value.dropLast()) : value
        }
    }

    /// A pool's UUID.
    var poolID: PoolID {
        get throws {
            do { return try PoolID(parsing: value) } catch let error as LXCError { throw fault(error.message) }
        }
    }

    /// A URI of libvirt's LXC driver.
    var uri: Locator {
        get throws {
            guard value.lowercased().hasPrefix("lxc:") || value.lowercased().hasPrefix("lxc+") else {
                throw fault("expected a libvirt URI of the LXC driver, as lxc:///")
            }
            return Locator(value)
        }
    }

    /// The name of a network device.
    var device: String {
        get throws {
            guard Interface.isDeviceName(value) else {
                throw fault("expected the name of a network device, 1 to 15 of A-Z a-z 0-9 . _ -")
            }
            return value
        }
    }

    /// The mode of a macvtap device.
    var directMode: Interface.DirectMode {
        get throws {
            guard let mode = Interface.DirectMode(rawValue: value) else {
                throw fault("expected private, bridge, vepa or passthrough")
            }
            return mode
        }
    }

    /// A network driver, with or without the package of its class.
    var driver: AgentProperties.VifDriverName {
        get throws {
            let package = "com.cloud.hypervisor.kvm.resource."
            let name = value.hasPrefix(package) ? String(value.dropFirst(package.count)) : value
            if let driver = AgentProperties.VifDriverName(rawValue: name) { return driver }
            if name == "OvsVifDriver" || name == "IvsVifDriver" {
                throw LXCError(
                    .unsupported,
                    "\(key.escapedForDisplay)=\(value.escapedForDisplay): switches of that kind are not supported")
            }
            throw fault("expected BridgeVifDriver or DirectVifDriver, with or without \(package) before it")
        }
    }

    /// The traffic whose network driver a key `libvirt.vif.driver.<TrafficType>` sets; nil for any other key.
    var traffic: TrafficType? {
        get throws {
            let prefix = "libvirt.vif.driver."
            guard key.hasPrefix(prefix) else { return nil }
            guard let traffic = TrafficType(rawValue: String(key.dropFirst(prefix.count))) else {
                let names = TrafficType.allCases.map(\.rawValue).joined(separator: ", ")
                throw fault("the kinds of traffic are \(names)")
            }
            return traffic
        }
    }

    /// Refuses hosts of other hypervisors.
    func requireLXC() throws {
        guard value.lowercased() == "lxc" else {
            throw LXCError(
                .unsupported, "hypervisor.type=\(value.escapedForDisplay): this is not an LXC host; set it to lxc")
        }
    }

    /// Refuses bridges of Open vSwitch.
    func requireNativeBridges() throws {
        guard value.lowercased() == "native" else {
            throw LXCError(
                .unsupported, "\(key)=\(value.escapedForDisplay): only native bridges are supported; leave the key out")
        }
    }
}
