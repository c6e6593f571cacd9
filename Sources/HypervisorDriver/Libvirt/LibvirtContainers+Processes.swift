// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import LXCCore
import Libvirt
import LibvirtXML
import Logging

/// The limit of processes, which libvirt does not know: it is kept in this package's metadata, and set in the control
/// groups at each start, before process 1 begins.
extension LibvirtContainers {
    /// Brings a running container under its limit of processes.
    public func confine(_ guest: GuestName) async throws {
        guard hasProcessesHere, let limit = try await keptProcessLimit(of: guest),
            let controller = try await self.guest(guest).id
        else { return }
        do {
            try await setProcessLimit(limit, of: controller)
        } catch let error as LXCError where error.code == .unsupported {
            logger.warning(
                "a container runs without a limit of processes",
                metadata: ["container": "\(guest)", "error": "\(error)"])
        }
    }

    /// Starts a container, and does from outside of it what libvirt leaves undone, before its process 1 begins.
    func confined(_ guest: GuestName, _ uuid: UUID?, _ start: () async throws -> Void) async throws {
        let gate = uuid.flatMap { StartGate(of: $0) }
        try await start()
        try await confineStarted(guest)
        try await adjustInterfaces(of: guest)
        gate?.open()
    }

    /// Applies the limit to a container just started. A container that cannot be limited is not left running.
    private func confineStarted(_ guest: GuestName) async throws {
        do {
            try await confine(guest)
        } catch let error as LXCError where [.notFound, .invalidState].contains(error.code) {
            // It has ended by itself.
        } catch {
            try? await withoutCancellation { try await kill(guest) }
            throw error
        }
    }

    /// The requested limit; nil for a container that this package did not make.
    private func keptProcessLimit(of guest: GuestName) async throws -> UInt64? {
        guard let metadata = try await definition(of: guest).containerMetadata() else { return nil }
        return metadata.processes ?? GuestLimits.standardProcesses
    }

    private func setProcessLimit(_ limit: UInt64, of controller: Int32) async throws {
        try await BlockingPool.shared.run { _ in
            guard let group = try ProcessLimitGroup(of: controller, .current()) else { return }
            group.protect()
            try group.set(limit)
        }
    }

    /// The limit in force, or that of the next start; nil if there is none.
    func processLimit(of guest: GuestName) async throws -> UInt64? {
        if hasProcessesHere, let controller = try await self.guest(guest).id {
            return try await BlockingPool.shared.run { _ in try ProcessLimitGroup(of: controller, .current())?.limit }
        }
        return try await keptProcessLimit(of: guest).flatMap { $0 == 0 ? nil : $0 }
    }

    /// Changes the limit, at once where the container runs, and for its next starts; nil lifts it.
    ///
    /// - Throws: `LXCError` `unsupported` for a container this package did not make, or on another host.
    func setProcessLimit(_ limit: UInt64?, of guest: GuestName, _ summary: DomainSummary) async throws {
        guard var metadata = try await definition(of: guest).containerMetadata() else {
            throw LXCError(.unsupported, "\(guest) was made by another program, which limits its processes")
        }
        if let controller = summary.identity.id {
            guard hasProcessesHere else {
                throw LXCError(.unsupported, "how many processes \(guest) has can only be limited on its own host")
            }
            try await setProcessLimit(limit ?? 0, of: controller)
        }
        metadata.processes = limit ?? 0
        try await setContainerMetadata(metadata, of: guest)
    }
}
