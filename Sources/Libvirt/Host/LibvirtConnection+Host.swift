// SPDX-License-Identifier: Apache-2.0

import CLibvirt
public import LXCCore

/// libvirt's description of a host.
public struct NodeInfo: Hashable, Sendable {
    /// The CPU model, such as `x86_64`.
    public var model: String
    /// The memory of the host.
    public var memory: ByteCount
    /// CPUs that are online.
    public var cpus: Int
    /// The clock in MHz; 0 where it is unknown.
    public var megahertz: Int
    /// NUMA nodes.
    public var numaNodes: Int
    /// Sockets per NUMA node.
    public var sockets: Int
    /// Cores per socket.
    public var cores: Int
    /// Threads per core.
    public var threads: Int
}

/// libvirt's way of numbering its releases.
public struct LibvirtVersion: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The number as libvirt gives it: 9000000 is 9.0.0.
    public let rawValue: UInt

    /// Creates a libvirt version from libvirt's number.
    public init(rawValue: UInt) { self.rawValue = rawValue }

    /// The version with dots.
    public var description: String { "\(rawValue / 1_000_000).\(rawValue / 1_000 % 1_000).\(rawValue % 1_000)" }

    /// Orders by release.
    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

extension LibvirtConnection {
    /// The host's name as the daemon knows it.
    public func hostname() async throws -> String {
        try await perform { (raw: virConnectPtr) in
            guard let name = virConnectGetHostname(raw) else { throw LXCError.lastLibvirt("read the host's name") }
            return takeString(name)
        }
    }

    /// The version of the libvirt at the other end.
    public func libraryVersion() async throws -> LibvirtVersion {
        try await perform { (raw: virConnectPtr) in
            var version: UInt = 0
            guard virConnectGetLibVersion(raw, &version) == 0 else {
                throw LXCError.lastLibvirt("read libvirt's version")
            }
            return LibvirtVersion(rawValue: version)
        }
    }

    /// The host's capabilities, as libvirt's `<capabilities>` document.
    public func capabilitiesXML() async throws -> String {
        try await perform(.slowReading) { (raw: virConnectPtr) in
            guard let xml = virConnectGetCapabilities(raw) else {
                throw LXCError.lastLibvirt("read the host's capabilities")
            }
            return takeString(xml)
        }
    }

    /// The capabilities of domains of one type (`kvm`, `qemu`; nil for the host's best) and architecture (such as
    /// `x86_64`; nil for the host's own), as libvirt's `<domainCapabilities>` document.
    ///
    /// - Throws: `LXCError` `invalidArgument` when the host does not offer the type, `unsupported` where the
    ///   driver has no such document, as LXC's.
    public func domainCapabilitiesXML(
        virtualizationType: String? = nil, architecture: String? = nil
    ) async throws -> String {
        for text in [virtualizationType, architecture].compactMap(\.self) {
            try requireNoNUL(text, "the domain type")
        }
        return try await perform(.slowReading) { (raw: virConnectPtr) in
            guard let xml = virConnectGetDomainCapabilities(raw, nil, architecture, nil, virtualizationType, 0) else {
                throw LXCError.lastLibvirt("read the domain capabilities")
            }
            return takeString(xml)
        }
    }

    /// The host's memory and CPUs.
    public func nodeInfo() async throws -> NodeInfo {
        try await perform { (raw: virConnectPtr) in
            var info = virNodeInfo()
            guard virNodeGetInfo(raw, &info) == 0 else { throw LXCError.lastLibvirt("read the host's memory and CPUs") }
            let model = withUnsafeBytes(of: &info.model) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            return NodeInfo(
                model: model, memory: .kibibytes(UInt64(info.memory)), cpus: Int(info.cpus), megahertz: Int(info.mhz),
                numaNodes: Int(info.nodes), sockets: Int(info.sockets), cores: Int(info.cores),
                threads: Int(info.threads))
        }
    }
}
