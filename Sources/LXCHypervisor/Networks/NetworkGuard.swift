import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging
import VifDriver

/// Has the security of guests enforced that libvirt starts by itself, after its own start or when a guest starts anew from
/// inside: what this package does before a start nobody has done then. What runs when watching begins is looked after as
/// well: rules may be gone while nothing of this package ran.
struct NetworkGuard: GuestDuty {
    let keeper: GuestKeeper

    func work(after sight: LXCHypervisor.Sight) -> [GuestWork] {
        sight.running.map { name in GuestWork { await enforceSecurity(of: name) } }
    }

    /// A guest that runs is not ended where its security cannot be enforced: that is logged as an error.
    private func enforceSecurity(of name: GuestName) async {
        let kind = keeper.kind
        do {
            // Most guests have none, and need no turn.
            guard try await !securedNICs(of: name).isEmpty else { return }
            try await keeper.operation("\(kind.operations).guard", on: name) {
                guard let guest = try await keeper.guest(name), guest.state.isActive else { return }
                for nic in try await securedNICs(of: name) { try await keeper.vifs.secure(nic, of: name) }
            }
        } catch let error as LXCError where error.code == .notFound {
            // It ended meanwhile, and was one that is forgotten at its end.
        } catch is CancellationError {
            return
        } catch {
            keeper.logger.error(
                "the security of a running \(kind) is not enforced",
                metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }

    private func securedNICs(of name: GuestName) async throws -> [NIC] {
        try await keeper.connectedNICs(of: keeper.driver.definition(of: name), name).filter { $0.security != nil }
    }
}
