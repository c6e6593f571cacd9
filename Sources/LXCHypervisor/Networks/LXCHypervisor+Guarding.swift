import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging
import VifDriver

/// The security of guests that run, whoever started them.
extension LXCHypervisor {
    /// Has the security of guests enforced that libvirt starts by itself, after its own start or when a guest starts anew
    /// from inside: what this package does before a start nobody has done then. What runs when this begins is looked after
    /// as well: rules may be gone while nothing of this package ran. Until the task is cancelled.
    func superviseGuards() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                do {
                    // Listening begins before looking, so that no start falls between the two.
                    let events = try await driver.events()
                    for guest in try await driver.guests() where guest.state.isActive {
                        group.addTask { await self.enforceSecurity(of: guest.name) }
                    }
                    for try await event in events where event.kind == .started {
                        group.addTask { await self.enforceSecurity(of: event.guest) }
                    }
                } catch {
                    logger.warning("lost sight of the \(kind)s; trying again", metadata: ["error": "\(error)"])
                }
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    /// A guest that runs is not ended where its security cannot be enforced: that is logged as an error.
    private func enforceSecurity(of name: GuestName) async {
        do {
            // Most guests have none, and need no turn.
            guard try await !securedNICs(driver.definition(of: name), name).isEmpty else { return }
            try await operation("container.guard", on: name) {
                guard let guest = try await guest(name), guest.state.isActive else { return }
                for nic in try await securedNICs(driver.definition(of: name), name) {
                    try await vifs.secure(nic, of: name)
                }
            }
        } catch let error as LXCError where error.code == .notFound {
            // It ended meanwhile, and was one that is forgotten at its end.
        } catch is CancellationError {
            return
        } catch {
            logger.error(
                "the security of a running \(kind) is not enforced",
                metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }

    private func securedNICs(_ domain: Domain, _ name: GuestName) throws -> [NIC] {
        try connectedNICs(of: domain, name).filter { $0.security != nil }
    }
}
