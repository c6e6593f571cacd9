// SPDX-License-Identifier: Apache-2.0

import Glibc
public import LXCCore
import Libvirt
import LibvirtXML

extension LibvirtContainers: GuestUpkeep {
    /// The time for a container to end after its process 1 was killed, before libvirt is left to it alone.
    private static let killPatience = Duration.seconds(3)

    /// Destroys the domain, and removes what libvirt leaves of it.
    ///
    /// libvirt ends a container by SIGTERM to every process in its control group, and by SIGKILL only one and a half
    /// seconds later. If process 1 ignores SIGTERM, which is the kernel's default for it, killing takes that long. So
    /// process 1 is killed first: all others end with it (pid_namespaces(7)), and libvirt reports when it has cleaned
    /// up.
    ///
    /// With control groups of version 1 what stands still does not end: not a container that is suspended, and not what has
    /// suspended itself, in a group of its own. libvirt gives up on the latter.
    public func kill(_ guest: GuestName) async throws {
        let found = try await self.guest(guest)
        guard hasProcessesHere, let controller = found.id else {
            return try await connection.destroy(guest.description)
        }
        // Listening begins before, so that the end cannot be missed.
        let events = try await connection.lifecycleEvents()
        let first: GuestInit
        do {
            first = try await BlockingPool.shared.run { _ in
                let first = try GuestInit(childOf: controller, shown: "container \(guest)")
                try first.send(SIGKILL)
                Thawing.thaw(controller, first)
                return first
            }
        } catch is LXCError {
            // It has just ended, or has no process 1 that could be found: libvirt's own way says which.
            return try await connection.destroy(guest.description)
        }
        if try await !Self.ended(guest, events) {
            do {
                try await connection.destroy(guest.description)
            } catch let error as LXCError where error.code == .invalidState || error.code == .notFound {
                // It ended by our signal, only that the event did not come.
            } catch is LXCError {
                // Groups frozen since the last look.
                try await BlockingPool.shared.run { _ in Thawing.thaw(controller, first) }
                try await connection.destroy(guest.description)
            }
        }
        try await removeControlGroups(of: found)
    }

    /// Removes libvirt's remains of the control groups of a container that has ended; of a forgotten one also its
    /// process 1's launcher.
    public func tidy(_ guest: Guest) async throws {
        guard hasProcessesHere else { return }
        try await removeControlGroups(of: guest)
    }

    /// Removes what was prepared for a domain that libvirt then refused; completes in a cancelled task, too.
    func tidy(after domain: Domain) async {
        guard let name = try? GuestName(domain.name), let uuid = domain.uuid else { return }
        await withoutCancellation { try? await tidy(Guest(name: name, uuid: uuid, state: .shutOff)) }
    }

    /// Removes what libvirt does not of the control groups of a container that has ended.
    func removeControlGroups(of guest: Guest) async throws {
        let isForgotten: Bool
        do {
            // Another guest can have the name by now.
            isForgotten = try await self.guest(guest.name).uuid != guest.uuid
        } catch let error as LXCError where error.code == .notFound {
            isForgotten = true
        }
        try await BlockingPool.shared.run { _ in
            CommandControlGroup.removeLeftovers(of: guest.name)
            CommandControlGroup.remove(ControlGroupView.group(of: guest.uuid))
            try ControlGroupMounts.current().removeLeftovers(of: guest.name)
            if isForgotten { InitLauncher.forget(guest.uuid) }
        }
    }

    /// Whether the end of a guest was told in time.
    private static func ended(
        _ guest: GuestName, _ events: AsyncThrowingStream<DomainEvent, any Error>
    ) async throws -> Bool {
        do {
            let isTold = try await within(killPatience) {
                for try await event in events where event.name == guest.description && event.kind == .stopped {
                    return true
                }
                return false
            }
            return isTold ?? false
        } catch is LXCError {
            // The connection was lost; the next call opens it again.
            return false
        }
    }
}
