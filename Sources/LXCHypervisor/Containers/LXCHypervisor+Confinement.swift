import HypervisorDriver
import LXCCore
import Logging

/// Containers that the hypervisor starts without us, with the host or after a reboot from inside, are brought under the
/// limits that it does not keep itself.
extension LXCHypervisor {
    /// Watches until the task is cancelled. Another operation on a container may take its time, and keeps no other
    /// container without its limits.
    func superviseConfinement() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                do {
                    // Listening begins before looking, so that no start falls between the two.
                    let events = try await driver.events()
                    for guest in try await driver.guests() where guest.state.isActive {
                        group.addTask { await self.confine(guest.name) }
                    }
                    for try await event in events where event.kind == .started {
                        group.addTask { await self.confine(event.guest) }
                    }
                } catch {
                    logger.warning("lost sight of the containers; trying again", metadata: ["error": "\(error)"])
                }
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    private func confine(_ name: GuestName) async {
        do {
            try await operation("container.confine", on: name) {
                guard let guest = try await guest(name), guest.state.isActive else { return }
                try await driver.confine(name)
            }
        } catch {
            logger.warning("cannot limit a container", metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }
}
