import HypervisorDriver
import LXCCore
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
                group.addTask { await self.lookAfterSystemVMs() }
                group.addTask { await self.watchContainers() }
                group.addTask { await self.containerKeeper.lookAfterLeases() }
                group.addTask { await self.keepHeartbeats() }
                group.addTask { await self.reportLeftovers() }
            }
        }
        guard leases.duration != nil else { return }
        // The containers go on, and nobody renews their leases any more. A store that does not answer keeps the service from
        // ending no longer than the leases would need renewing anyway.
        await Task {
            _ = try? await within(min(leases.interval, .seconds(30))) {
                await self.containerKeeper.renewLeases(lasting: nil)
                await self.answeringSystemVMs()?.renewLeases(lasting: nil)
            }
        }.value
    }

    private func watchContainers() async {
        let keeper = containerKeeper
        await GuestWatch(driver: keeper.driver, kind: keeper.kind, logger: logger).run([
            NetworkGuard(keeper: keeper), GuestSettlement(keeper: keeper), ContainerRestarts(keeper),
            ContainerConfinement(keeper: keeper), ConsoleLogging(keeper),
        ])
    }

    /// Beside the containers, which need not wait: libvirt may look at its emulators for a minute before it answers.
    private func lookAfterSystemVMs() async {
        guard let keeper = await answeringSystemVMs() else { return }
        await withDiscardingTaskGroup { group in
            group.addTask {
                await GuestWatch(driver: keeper.driver, kind: keeper.kind, logger: keeper.logger).run([
                    NetworkGuard(keeper: keeper), GuestSettlement(keeper: keeper),
                ])
            }
            group.addTask { await keeper.lookAfterLeases() }
        }
    }

    /// Who looks after the system VMs, unless their hypervisor is not there: many hosts have none.
    private func answeringSystemVMs() async -> GuestKeeper? {
        guard let keeper = systemVMKeeper else { return nil }
        do {
            _ = try await keeper.driver.guests()
            return keeper
        } catch {
            logger.debug("no hypervisor answers for system VMs", metadata: ["error": "\(error)"])
            return nil
        }
    }
}
