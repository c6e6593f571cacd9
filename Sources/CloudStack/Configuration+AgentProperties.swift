// SPDX-License-Identifier: Apache-2.0

import Glibc
public import LXCCore
public import LXCHypervisor
import Logging

extension LXCHypervisor.Configuration {
    /// Creates the configuration of a host as CloudStack's `agent.properties` describes it: containers are privileged by
    /// default, and libvirt forgets them when they end, because the management server knows them.
    ///
    /// Set `policy.defaultPrivilege` and `policy.keepsDefinitions` afterwards to run containers this package's way on the
    /// same host. The heartbeat has the address of `private.network.device`, where that has one.
    ///
    /// - Parameters:
    ///   - properties: the file's contents; their ``AgentProperties/unknown`` lists unknown keys.
    ///   - secondary: the directory of secondary storage, which CloudStack's management server names and not this file.
    /// - Throws: `LXCError` `invalidArgument` and `unsupported` as ``AgentProperties/init(_:)`` says.
    public init(agentProperties properties: JavaProperties, secondary: String) throws {
        try self.init(agentProperties: AgentProperties(properties), secondary: secondary)
    }

    /// Creates the configuration of a host as CloudStack's `agent.properties` describes it.
    ///
    /// - Parameters:
    ///   - properties: the file's contents.
    ///   - secondary: the directory of secondary storage.
    /// - Throws: `LXCError` `invalidArgument` for a direct network driver without device or mode.
    public init(agentProperties properties: AgentProperties, secondary: String) throws {
        self.init(pools: properties.localPools, secondary: secondary)
        if let uri = properties.hypervisorURI { connection = .uri(uri) }
        vifs = try LXCHypervisor.VifDrivers(agentProperties: properties)
        policy.defaultPrivilege = .privileged
        policy.keepsDefinitions = false
        policy.stopTimeout = properties.stopTimeout
        policy.reservedMemory = properties.reservedMemory
        policy.overcommittedMemory = properties.overcommittedMemory
        policy.heartbeat = HostAddress.ofDevice(properties.privateDevice).map { .init(address: $0) }
        for key in properties.unknown.keys.sorted() {
            logger.warning("agent.properties has an unknown key", metadata: ["key": "\(key.escapedForDisplay)"])
        }
    }
}

/// Addresses of this host.
enum HostAddress {
    /// The first IPv4 address of a device; nil if it has none.
    static func ofDevice(_ device: String) -> String? {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return nil }
        defer { freeifaddrs(list) }
        var next = list
        while let entry = next?.pointee {
            next = entry.ifa_next
            guard let address = entry.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET),
                String(cString: entry.ifa_name) == device
            else { continue }
            var text = [CChar](repeating: 0, count: Int(INET_ADDRSTRLEN))
            let isWritten = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { address in
                withUnsafePointer(to: &address.pointee.sin_addr) {
                    inet_ntop(AF_INET, $0, &text, socklen_t(text.count)) != nil
                }
            }
            if isWritten {
                return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            }
        }
        return nil
    }
}
