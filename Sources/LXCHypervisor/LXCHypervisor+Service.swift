import DomainXML
import HypervisorDriver
import LXCCore
import Logging
import PrimaryStore
public import ServiceLifecycle

extension LXCHypervisor: Service {
    /// Watches over the containers until the surrounding service group shuts down: the volume of a container that
    /// ended by itself is given back, also of one that ended while the hypervisor could not be reached.
    public func run() async throws {
        await cancelWhenGracefulShutdown { await self.watch() }
    }

    private func watch() async {
        while !Task.isCancelled {
            do {
                // Listening begins before looking, so that no end falls between the two.
                let events = try await driver.events()
                for guest in try await driver.guests() where !guest.state.isActive { await settle(guest.name) }
                for try await event in events where event.kind == .stopped || event.kind == .crashed {
                    await settle(event.guest)
                }
            } catch {
                logger.warning("lost sight of the containers; trying again", metadata: ["error": "\(error)"])
            }
            try? await Task.sleep(for: .seconds(1))
        }
    }

    /// Gives back what a container that is not running holds.
    private func settle(_ name: ContainerName) async {
        do {
            try await operation("container.settle", on: name) {
                guard let guest = try await guest(name), !guest.state.isActive else { return }
                let metadata = try await driver.definition(of: name).containerMetadata()
                guard let metadata, metadata.pool == primary.id else { return }
                try await primary.releaseLease(on: metadata.volume, by: hostName)
            }
        } catch {
            logger.warning("cannot settle", metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }
}
