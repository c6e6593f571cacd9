import Glibc
public import LXCCore
import Libvirt

extension LibvirtDriver {
    /// How long a container may take to be gone once its process 1 was killed, before libvirt is left to it alone.
    private static let destroyPatience = Duration.seconds(3)

    /// Destroys the domain.
    ///
    /// libvirt ends a container by SIGTERM to every process in its control group, and by SIGKILL only one and a half
    /// seconds later. Where process 1 ignores SIGTERM, as the kernel has it by default, that is the time it takes. So
    /// process 1 is killed first: all others end with it (pid_namespaces(7)), and libvirt tells when it has cleaned up.
    public func destroy(_ guest: ContainerName) async throws {
        // A signal reaches a suspended process only when it goes on.
        guard hasProcessesHere, try await [.running, .blocked].contains(self.guest(guest).state) else {
            return try await connection.destroy(guest.description)
        }
        // Listening begins before, so that the end cannot be missed.
        let events = try await connection.lifecycleEvents()
        do {
            try await withInit(of: guest) { first, _ in try first.send(SIGKILL) }
        } catch is LXCError {
            // It has just ended, or has no process 1 that could be found: libvirt's own way says which.
            return try await connection.destroy(guest.description)
        }
        if try await Self.ended(guest, events) { return }
        do {
            try await connection.destroy(guest.description)
        } catch let error as LXCError where error.code == .invalidState || error.code == .notFound {
            // It ended by our signal, only that the event did not come.
        }
    }

    /// Whether the end of a guest was told in time.
    private static func ended(
        _ guest: ContainerName, _ events: AsyncThrowingStream<DomainEvent, any Error>
    ) async throws -> Bool {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                for try await event in events where event.name == guest.description && event.kind == .stopped {
                    return true
                }
                return false
            }
            group.addTask {
                try await Task.sleep(for: destroyPatience)
                return false
            }
            defer { group.cancelAll() }
            do {
                return try await group.next() ?? false
            } catch is LXCError {
                // The connection was lost; the next call opens it again.
                return false
            }
        }
    }
}
