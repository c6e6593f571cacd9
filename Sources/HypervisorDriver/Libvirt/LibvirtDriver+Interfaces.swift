public import LXCCore
import Libvirt
public import LibvirtXML

extension LibvirtDriver {
    // MARK: Network filters

    /// Defines the filter.
    public func define(_ filter: NetworkFilter) async throws {
        try await connection.defineNetworkFilter(xml: filter.xml())
    }

    /// Undefines the filter.
    public func undefineNetworkFilter(_ name: String) async throws { try await connection.undefineNetworkFilter(name) }

    // MARK: Interfaces

    /// Attaches the device to the running domain and to its definition. What libvirt leaves undone in a running
    /// container is done from outside of it: there the device has a name of the kernel's and is down.
    public func attach(_ interface: Interface, to guest: GuestName) async throws {
        guard let mac = interface.mac else {
            throw LXCError(
                .invalidArgument,
                "an interface attached to \(guest) needs a hardware address, by which it is found again")
        }
        let name = guest.description
        let summary = try await connection.summary(of: name)
        let defined = summary.isPersistent ? try await present(interface, mac, of: guest, .inactive) : nil
        // The running domain first: what cannot be attached to it must not come with its next start either.
        if summary.isActive { try await attach(interface, mac, toRunning: guest) }
        if summary.isPersistent, defined == nil {
            try await connection.attachDevice(xml: interface.xml(), to: name, affecting: .config)
        }
    }

    /// The interface that has the address already; nil when none has.
    ///
    /// - Throws: `LXCError` `alreadyExists` when it is another one, by its name in the guest or its network: that must not
    ///   be touched.
    private func present(
        _ interface: Interface, _ mac: MACAddress, of guest: GuestName, _ options: XMLOptions = []
    ) async throws -> Interface? {
        guard let present = try await self.interface(mac, of: guest, options) else { return nil }
        guard present.guestDevice == interface.guestDevice, present.kind == interface.kind else {
            throw LXCError(
                .alreadyExists,
                "\(guest) has the hardware address \(mac) already, on \(present.guestDevice ?? "another interface")")
        }
        return present
    }

    /// Detaches the device from the running domain and from its definition.
    public func detach(_ address: MACAddress, from guest: GuestName) async throws {
        let name = guest.description
        let summary = try await connection.summary(of: name)
        if summary.isActive, let interface = try await interface(address, of: guest) {
            if kind == .lxc, case .direct = interface.kind {
                throw LXCError(
                    .unsupported,
                    "libvirt cannot take a direct interface from a running container; stop \(guest) first")
            }
            try await detach(interface, from: name, .live)
        }
        if summary.isPersistent, let interface = try await interface(address, of: guest, .inactive) {
            try await detach(interface, from: name, .config)
        }
    }

    private func attach(_ interface: Interface, _ mac: MACAddress, toRunning guest: GuestName) async throws {
        let isAttached = try await present(interface, mac, of: guest) != nil
        guard kind == .lxc else {
            if !isAttached {
                try await connection.attachDevice(xml: interface.xml(), to: guest.description, affecting: .live)
            }
            return
        }
        if !isAttached {
            try await requireSight(of: guest)
            try await connection.attachDevice(xml: interface.xml(), to: guest.description, affecting: .live)
        }
        do {
            try await onNetwork(of: guest) { try $0.settle(interface, isNew: !isAttached) }
        } catch {
            // In a task of its own: it must complete in a cancelled one too.
            if !isAttached { try? await Task { try await detach(interface, from: guest.description, .live) }.value }
            throw error
        }
    }

    /// Sets what libvirt leaves undone of the interfaces of a container that has just been started. After a reboot from
    /// inside it is undone until the next start.
    func adjustInterfaces(of guest: GuestName) async throws {
        guard kind == .lxc else { return }
        do {
            let interfaces = try await definition(of: guest).interfaces.filter { $0.isBridged || $0.mtu != nil }
            // On another host only what was asked for is missed.
            guard interfaces.contains(where: { $0.mtu != nil || hasProcessesHere }) else { return }
            try await onNetwork(of: guest) { network in
                for interface in interfaces { try network.adjust(interface) }
            }
        } catch let error as LXCError where error.code == .notFound || error.code == .invalidState {
            // A container that has ended by itself meanwhile was started all the same.
            guard let now = try? await self.guest(guest) else { return }
            if now.state.isActive { throw error }
        }
    }

    /// Checks that libvirt and the kernel agree on where the container is. libvirt 9 can go on believing in the init of
    /// a container's run before this one, and would move the device to whatever process has its number now.
    private func requireSight(of guest: GuestName) async throws {
        // libvirt learns a container's init a moment after the start has returned.
        let deadline = ContinuousClock.now + .seconds(5)
        while true {
            let network = try await onNetwork(of: guest) { $0.inode }
            var cause: (any Error)?
            do {
                if try await connection.networkNamespace(of: guest.description) == network { return }
            } catch let error as LXCError where error.code != .unsupported {
                cause = error
            }
            guard ContinuousClock.now < deadline else {
                throw LXCError(
                    .invalidState,
                    "libvirt takes another process for the init of \(guest), so nothing can be attached while it runs; stop "
                        + "it and start it again", cause: cause)
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Runs `body` with the network of a running container, on a thread that may block.
    func onNetwork<Value: Sendable>(
        of guest: GuestName, _ body: @escaping @Sendable (borrowing ContainerNetwork) throws -> Value
    ) async throws -> Value {
        guard hasProcessesHere else {
            throw LXCError(
                .unsupported, "\(guest) is on another host, where its network cannot be reached from here")
        }
        guard let controller = try await self.guest(guest).id else {
            throw LXCError(.invalidState, "\(guest) is not running")
        }
        return try await BlockingPool.shared.run { _ in
            let first = try GuestInit(childOf: controller, shown: "container \(guest)")
            let network = try ContainerNetwork(of: first, guest)
            return try body(network)
        }
    }

    /// The interface of a hardware address in one of the domain's documents.
    private func interface(
        _ mac: MACAddress, of guest: GuestName, _ options: XMLOptions = []
    ) async throws -> Interface? {
        let document = try await connection.xml(of: guest.description, options: options)
        return try Domain(xml: document).interfaces.first { $0.mac == mac }
    }

    /// Detaches a device; one that went meanwhile is no error.
    private func detach(_ interface: Interface, from domain: String, _ impact: ModificationImpact) async throws {
        do {
            try await connection.detachDevice(xml: interface.xml(), from: domain, affecting: impact)
        } catch let error as LXCError where error.code == .notFound {
            _ = try await connection.summary(of: domain)  // The domain itself must be there.
        }
    }
}

extension Interface {
    fileprivate var isBridged: Bool {
        if case .bridge = kind { true } else { false }
    }
}
