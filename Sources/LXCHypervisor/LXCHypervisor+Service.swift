import DomainXML
import HypervisorDriver
import LXCCore
import Logging
import PrimaryStore
public import ServiceLifecycle

extension LXCHypervisor: Service {
    /// Watches over the containers until the surrounding service group shuts down: the volume of a container that
    /// ended by itself is given back, also of one that ended while the hypervisor could not be reached; one that is to
    /// run always is started again; the leases of those that run are renewed, as ``leases`` says; the host's heartbeat is
    /// written where the policy has one; the consoles of containers that ask for it are logged. Disks of system VMs are
    /// looked after alike, where their hypervisor answers when this begins.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask { await self.lookAfterMachines() }
                group.addTask { await self.watch() }
                group.addTask { await self.superviseRestarts() }
                group.addTask { await self.superviseConfinement() }
                group.addTask { await self.lookAfterLeases() }
                group.addTask { await self.keepHeartbeat() }
                group.addTask { await self.keepConsoleLogs() }
            }
        }
        guard leases.duration != nil else { return }
        // The containers go on, and nobody renews their leases any more.
        await Task {
            await self.renewLeases(lasting: nil)
            await self.answeringMachines()?.renewLeases(lasting: nil)
        }.value
    }

    /// Beside the containers, which need not wait: libvirt may look at its emulators for a minute before it answers.
    private func lookAfterMachines() async {
        guard let machines = await answeringMachines() else { return }
        await withDiscardingTaskGroup { group in
            group.addTask { await machines.watch() }
            group.addTask { await machines.lookAfterLeases() }
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

    private func watch() async {
        while !Task.isCancelled {
            do {
                // Listening begins before looking, so that no end falls between the two.
                let events = try await driver.events()
                for guest in try await driver.guests() where !guest.state.isActive { await settle(guest.name) }
                for try await event in events where event.kind.isEnd {
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
                try await driver.tidy(name)
                let domain = try await driver.definition(of: name)
                guard let metadata = try domain.containerMetadata(), metadata.pool == primary.id else { return }
                try await vifs.unplug(domain.interfaces)
                try await primary.releaseLease(on: metadata.volume, by: hostName)
            }
        } catch {
            logger.warning("cannot settle", metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }

    // MARK: Leases

    private func lookAfterLeases() async {
        while !Task.isCancelled {
            await renewLeases(lasting: leases.duration)
            try? await Task.sleep(for: leases.interval)
        }
    }

    private func renewLeases(lasting duration: Duration?) async {
        do {
            for guest in try await driver.guests() where guest.state.isActive {
                await renewLease(of: guest.name, lasting: duration)
            }
        } catch {
            logger.warning("cannot renew leases; trying again", metadata: ["error": "\(error)"])
        }
    }

    /// Not one of the operations that exclude each other on a container: a stop may take longer than a lease lasts. What
    /// was given back meanwhile is not there to be renewed.
    private func renewLease(of name: ContainerName, lasting duration: Duration?) async {
        do {
            let metadata = try await driver.definition(of: name).containerMetadata()
            guard let metadata, metadata.pool == primary.id else { return }
            do {
                try await primary.renewLease(on: metadata.volume, for: hostName, lasting: duration)
            } catch let error as LXCError where error.code == .inUse || error.code == .notFound {
                // What is not running any more was given back.
                guard try await driver.guest(name).state.isActive else { return }
                return await report(error, of: name)
            }
        } catch {
            logger.warning(
                "cannot renew a lease; trying again", metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }

    private func report(_ loss: LXCError, of name: ContainerName) async {
        logger.error(
            "a running container has lost its volume's lease",
            metadata: ["container": "\(name)", "error": "\(loss)"])
        await leases.onLoss(name, loss)
    }
}
