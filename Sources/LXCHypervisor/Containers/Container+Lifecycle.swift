// SPDX-License-Identifier: Apache-2.0

public import HypervisorDriver
import LXCCore
public import LibvirtXML

extension LXCHypervisor.Container {
    /// Asks it to end as ``stop(within:)`` does, kills it when it has not after `grace`, and starts it again. Its volume
    /// stays leased in between. When this returns it runs; when this throws, it may have been stopped.
    ///
    /// - Returns: how it ended.
    /// - Throws: `LXCError` `invalidState` when it is not running, and what ``start()`` throws.
    @discardableResult
    public func reboot(within grace: Duration? = nil) async throws -> LXCHypervisor.StopOutcome {
        try await keeper.operation("container.reboot", on: name) { try await keeper.reboot(name, within: grace) }
    }

    /// Waits until it is in a state; the hypervisor's events tell, nothing is asked over and over.
    ///
    /// - Parameters:
    ///   - state: what it is to be. A container that is forgotten when it ends is shut off then.
    ///   - limit: how long is waited; nil as long as it takes.
    /// - Throws: `LXCError` `timedOut`.
    public func wait(for state: GuestState, within limit: Duration? = nil) async throws {
        try await keeper.wait(for: name, toBe: state, within: limit)
    }

    /// The process id on this host of its process 1; nil when it does not run, or runs on another host.
    public func initProcess() async throws -> Int32? {
        let guest = try await info()
        return try await BlockingPool.shared.run { _ in guest.initProcess }
    }

    /// The limits in force; of one that is not running, those of its next start.
    ///
    /// - Throws: `LXCError` `unsupported` for a driver that cannot tell.
    public func limits() async throws -> GuestLimits { try await keeper.driver.limiting.limits(of: name) }

    /// Changes limits, at once and for later starts.
    ///
    /// - Throws: `LXCError` `invalidArgument`, `unsupported` for a limit this host cannot keep.
    public func setLimits(_ change: GuestLimits.Change) async throws {
        try change.check()
        try await keeper.operation("container.limits", on: name) {
            try await keeper.driver.limiting.setLimits(change, of: name)
        }
    }

    /// Whether libvirt starts it when it starts itself.
    public func isAutostarted() async throws -> Bool { try await keeper.driver.autostart.isAutostarted(name) }

    /// Has libvirt start it when it starts itself, after a start of the host. ``LXCHypervisor/run()`` leases its volume
    /// then.
    ///
    /// - Throws: `LXCError` `invalidState` for a container that is forgotten when it ends.
    public func setAutostart(_ isOn: Bool) async throws {
        try await keeper.operation("container.autostart", on: name) {
            try await keeper.driver.autostart.setAutostart(isOn, of: name)
        }
    }

    /// Changes what happens when it ends without having been stopped.
    ///
    /// - Throws: `LXCError` `invalidState` for a container this package did not create.
    public func setRestart(_ restart: ContainerMetadata.RestartPolicy) async throws {
        try await keeper.operation("container.restart", on: name) {
            guard var metadata = try await keeper.record(of: keeper.driver.definition(of: name))?.metadata else {
                throw LXCError(.invalidState, "container \(name) was defined by another program, which looks after it")
            }
            metadata.restart = restart
            try await keeper.driver.setContainerMetadata(metadata, of: name)
        }
    }
}
