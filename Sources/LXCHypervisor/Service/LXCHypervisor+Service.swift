// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import Logging
import PrimaryStore
public import ServiceLifecycle

extension LXCHypervisor: Service {
    /// Looks after the containers until the surrounding service group shuts down. It releases the volume of a container
    /// that ended on its own, even while the hypervisor could not be reached; restarts containers that are to run
    /// always; renews the leases of running containers, as ``leases`` says, and takes missing ones; writes the host's
    /// heartbeat if the policy has one; and logs the consoles of containers that ask for it. Disks of system VMs are
    /// looked after in the same way if their hypervisor answers when this begins.
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
        // The containers keep running, but nobody renews their leases any more. A store that does not answer delays the
        // end of the service no longer than the leases would go without renewal anyway.
        await withoutCancellation { [self] in
            _ = try? await within(min(leases.interval, .seconds(30))) {
                await self.containerKeeper.renewLeases(lasting: nil)
                await self.answeringSystemVMs()?.renewLeases(lasting: nil)
            }
        }
    }

    private func watchContainers() async {
        let keeper = containerKeeper
        await GuestWatch(driver: keeper.driver, kind: keeper.kind, logger: logger).run([
            NetworkGuard(keeper: keeper), GuestSettlement(keeper: keeper), ContainerRestarts(keeper),
            ContainerConfinement(keeper: keeper), ConsoleLogging(keeper),
        ])
    }

    /// Runs beside the containers, which need not wait: libvirt may probe its emulators for a minute before it answers.
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

    /// The keeper of the system VMs, unless their hypervisor is missing, as on many hosts.
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
