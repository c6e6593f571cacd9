import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging
import PrimaryStore
public import ServiceLifecycle

extension LXCHypervisor: Service {
    /// Watches over the containers until the surrounding service group shuts down: the volume of a container that
    /// ended by itself is given back, also of one that ended while the hypervisor could not be reached; one that is to
    /// run always is started again; the leases of those that run are renewed, as ``leases`` says, and taken where they are
    /// missing; the host's heartbeat is
    /// written where the policy has one; the consoles of containers that ask for it are logged. Disks of system VMs are
    /// looked after alike, where their hypervisor answers when this begins.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask { await self.lookAfterMachines() }
                group.addTask { await self.superviseGuards() }
                group.addTask { await self.watch() }
                group.addTask { await self.superviseRestarts() }
                group.addTask { await self.superviseConfinement() }
                group.addTask { await self.lookAfterLeases() }
                group.addTask { await self.keepHeartbeat() }
                group.addTask { await self.keepConsoleLogs() }
                group.addTask { await self.reportLeftovers() }
            }
        }
        guard leases.duration != nil else { return }
        // The containers go on, and nobody renews their leases any more. A store that does not answer keeps the service from
        // ending no longer than the leases would need renewing anyway.
        await Task {
            _ = try? await within(min(leases.interval, .seconds(30))) {
                await self.renewLeases(lasting: nil)
                await self.answeringMachines()?.renewLeases(lasting: nil)
            }
        }.value
    }

    /// Beside the containers, which need not wait: libvirt may look at its emulators for a minute before it answers.
    private func lookAfterMachines() async {
        guard let machines = await answeringMachines() else { return }
        await withDiscardingTaskGroup { group in
            group.addTask { await machines.watch() }
            group.addTask { await machines.lookAfterLeases() }
            group.addTask { await machines.superviseGuards() }
        }
    }

    /// The system VMs, unless their hypervisor is not there: many hosts have none.
    private func answeringMachines() async -> LXCHypervisor? {
        guard let machines else { return nil }
        do {
            _ = try await machines.driver.guests()
            return machines
        } catch {
            logger.debug("no hypervisor answers for system VMs", metadata: ["error": "\(error)"])
            return nil
        }
    }

    /// Each guest is looked after by a task of its own: another operation on it may take its time, and keeps no other guest
    /// waiting.
    private func watch() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                do {
                    // Listening begins before looking, so that no end falls between the two.
                    let events = try await driver.events()
                    for guest in try await driver.guests() where !guest.state.isActive {
                        group.addTask { await self.settle(guest.name) }
                    }
                    for try await event in events {
                        if event.kind.isEnd { group.addTask { await self.settle(event.guest) } }
                        // libvirt starts some by itself, and leases nothing.
                        if event.kind == .started {
                            group.addTask { await self.renewLease(of: event.guest, lasting: self.leases.duration) }
                        }
                    }
                } catch {
                    logger.warning("lost sight of the containers; trying again", metadata: ["error": "\(error)"])
                }
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    /// Gives back what a container that is not running holds.
    private func settle(_ name: GuestName) async {
        do {
            try await operation("container.settle", on: name) {
                guard let guest = try await guest(name), !guest.state.isActive else { return }
                try await driver.tidy(guest)
                let domain = try await driver.definition(of: name)
                guard let metadata = try domain.containerMetadata(), metadata.pool == primary.id else { return }
                try await vifs.unplug(domain.interfaces)
                try await giveBackLease(on: metadata.volume, of: name)
            }
        } catch {
            logger.warning("cannot settle", metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }
}
