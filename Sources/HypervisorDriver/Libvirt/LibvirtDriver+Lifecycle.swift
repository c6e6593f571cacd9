public import LXCCore
import Libvirt
public import LibvirtXML

extension LibvirtDriver {
    /// Creates the domain without defining it (CloudStack's way); libvirt checks the document against its schema.
    func createDomain(_ domain: Domain) async throws {
        let xml = try await shown(domain).xml()
        guard let guest = try? GuestName(domain.name) else {
            _ = try await connection.create(xml: xml, options: .validate)
            return
        }
        try await confined(guest, domain.uuid) { _ = try await connection.create(xml: xml, options: .validate) }
    }

    /// Signals the container's init: on this host itself, because libvirt can go on believing in the init of an earlier
    /// run, whose number may be another process's by now.
    public func send(_ signal: GuestSignal, to guest: GuestName) async throws {
        guard !hasProcessesHere else {
            return try await withInit(of: guest) { first, _ in try first.send(signal.rawValue) }
        }
        try await connection.send(signal: signal.rawValue, of: guest.description)
    }

    /// Whether libvirtd starts the domain when it starts itself, once after each start of the host.
    public func isAutostarted(_ guest: GuestName) async throws -> Bool {
        try await connection.isAutostarted(guest.description)
    }

    /// Has libvirtd start the domain when it starts itself.
    public func setAutostart(_ isOn: Bool, of guest: GuestName) async throws {
        try await connection.setAutostart(guest.description, isOn)
    }

    /// Replaces this package's element in the domain's metadata, in what runs and in what is stored.
    public func setContainerMetadata(_ metadata: ContainerMetadata, of guest: GuestName) async throws {
        let summary = try await connection.summary(of: guest.description)
        var impact: ModificationImpact = []
        if summary.isActive { impact.insert(.live) }
        if summary.isPersistent { impact.insert(.config) }
        var domain = try await definition(of: guest)
        try domain.setContainerMetadata(metadata)
        try await connection.setMetadata(
            domain.bareContainerMetadata(), of: guest.description, namespace: ContainerMetadata.namespace,
            prefix: ContainerMetadata.prefix, affecting: impact)
    }
}
