// SPDX-License-Identifier: Apache-2.0

public import LXCCore
import Libvirt
public import LibvirtXML

extension LibvirtContainers {
    /// Attaches the device to the running domain and to its definition. What libvirt leaves undone in a running
    /// container is done from outside of it: there the device has a name of the kernel's and is down.
    public func attach(_ interface: Interface, to guest: GuestName) async throws {
        try await connect(interface, to: guest) { _, isAttached in
            try await attachLive(interface, to: guest, isAttached: isAttached)
        }
    }

    /// Detaches the device from the running domain and from its definition.
    public func detach(_ address: MACAddress, from guest: GuestName) async throws {
        try await disconnect(address, from: guest) { interface in
            guard case .direct = interface.kind else { return }
            throw LXCError(
                .unsupported, "libvirt cannot take a direct interface from a running container; stop \(guest) first")
        }
    }

    private func attachLive(_ interface: Interface, to guest: GuestName, isAttached: Bool) async throws {
        if !isAttached {
            try await requireSight(of: guest)
            try await connection.attachDevice(xml: interface.xml(), to: guest.description, affecting: .live)
        }
        do {
            try await onNetwork(of: guest) { try $0.settle(interface, isNew: !isAttached) }
        } catch {
            if !isAttached {
                try? await withoutCancellation { try await detach(interface, from: guest.description, .live) }
            }
            throw error
        }
    }

    /// Sets what libvirt leaves undone of the interfaces of a container that has just been started. After a reboot from
    /// inside it is undone until the next start.
    func adjustInterfaces(of guest: GuestName) async throws {
        do {
            let interfaces = try await definition(of: guest).interfaces.filter { $0.isBridged || $0.mtu != nil }
            // On another host only what was asked for is missed.
            guard interfaces.contains(where: { $0.mtu != nil || hasProcessesHere }) else { return }
            try await onNetwork(of: guest) { network in
                for interface in interfaces { try network.adjust(interface) }
            }
        } catch let error as LXCError where error.code == .notFound || error.code == .invalidState {
            // A container that has ended in the meantime was started nevertheless.
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
}

extension Interface {
    fileprivate var isBridged: Bool {
        if case .bridge = kind { true } else { false }
    }
}
