// SPDX-License-Identifier: Apache-2.0

public import HypervisorDriver
import LXCCore
public import LibvirtXML

extension LXCHypervisor.Container {
    /// Stops the container as ``stop(within:)`` does, killing it if it has not ended after `grace`, and starts it
    /// again. Its volume stays leased in between. The container is running when this returns; if this throws, it may
    /// have been stopped.
    ///
    /// - Returns: how the container ended.
    /// - Throws: `LXCError` `invalidState` if it is not running, and the errors of ``start()``.
    @discardableResult
    public func reboot(within grace: Duration? = nil) async throws -> LXCHypervisor.StopOutcome {
        try await keeper.operation("container.reboot", on: name) { try await keeper.reboot(name, within: grace) }
    }

    /// Waits until the container is in a state, using the hypervisor's events instead of polling.
    ///
    /// - Parameters:
    ///   - state: the state to wait for. A transient container that has ended counts as shut off.
    ///   - limit: how long to wait; `nil` waits indefinitely.
    /// - Throws: `LXCError` `timedOut`.
    public func wait(for state: GuestState, within limit: Duration? = nil) async throws {
        try await keeper.wait(for: name, toBe: state, within: limit)
    }

    /// The host process id of the container's process 1; `nil` if it is not running or runs on another host.
    public func initProcess() async throws -> Int32? {
        let guest = try await info()
        return try await BlockingPool.shared.run { _ in guest.initProcess }
    }

    /// The limits in force, or those of the next start if the container is not running.
    ///
    /// - Throws: `LXCError` `unsupported` if the driver does not report limits.
    public func limits() async throws -> GuestLimits { try await keeper.driver.limiting.limits(of: name) }

    /// Changes limits, effective immediately and for later starts.
    ///
    /// - Throws: `LXCError` `invalidArgument`, `unsupported` for a limit this host cannot enforce.
    public func setLimits(_ change: GuestLimits.Change) async throws {
        try change.check()
        try await keeper.operation("container.limits", on: name) {
            try await keeper.driver.limiting.setLimits(change, of: name)
        }
    }

    /// Whether libvirt starts the container when libvirt itself starts.
    public func isAutostarted() async throws -> Bool { try await keeper.driver.autostart.isAutostarted(name) }

    /// Sets whether libvirt starts the container when libvirt itself starts, after a start of the host.
    /// ``LXCHypervisor/run()`` then leases its volume.
    ///
    /// - Throws: `LXCError` `invalidState` for a transient container.
    public func setAutostart(_ isOn: Bool) async throws {
        try await keeper.operation("container.autostart", on: name) {
            try await keeper.driver.autostart.setAutostart(isOn, of: name)
        }
    }

    /// Changes what happens when the container ends without having been stopped.
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
