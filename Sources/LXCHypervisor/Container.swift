public import DomainXML
public import HypervisorDriver
public import LXCCore

/// A container the hypervisor knows. A value to hold: it keeps no state, every answer is asked for anew.
///
/// Operations on one container run one after the other, on different containers side by side. Each throws
/// `LXCError` `notFound` once the container is deleted (but ``destroy()``), `unavailable` while libvirt cannot
/// be reached, `invalidState` from starting, stopping and destroying one whose volume is in another pool, and what it
/// names.
public struct Container: Sendable {
    /// How a container came to its end.
    public enum StopOutcome: String, Hashable, Sendable, Codable {
        /// It ended when asked.
        case graceful
        /// It did not end in time and was killed.
        case forced
        /// It was not running.
        case notRunning
    }

    /// Its name.
    public let name: ContainerName
    let host: LXCHypervisor

    /// What it is and how it is doing.
    public func status() async throws -> Guest {
        try await host.driver.guest(name)
    }

    /// Its domain document.
    public func document() async throws -> Domain {
        try await host.driver.definition(of: name)
    }

    /// Leases its volume for this host and starts it.
    ///
    /// - Throws: `LXCError` `invalidState` when it runs already, `inUse` when another host has its volume,
    ///   `unsafe` when its root was made dangerous to start from, `hypervisor`.
    public func start() async throws {
        try await host.start(name)
    }

    /// Asks it to end, and kills it when it has not after `grace`. Returns when it has ended.
    @discardableResult
    public func stop(within grace: Duration = .seconds(30)) async throws -> StopOutcome {
        try await host.stop(name, within: grace)
    }

    /// Kills it, deletes its volume and undefines it. A container that is gone is no error, and a destruction that
    /// failed half-way is finished by the next.
    ///
    /// - Throws: `LXCError` `inUse` when another host has its volume; the container stays then.
    public func destroy() async throws {
        try await host.destroy(name)
    }

    /// Stops its processes where they are.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    public func suspend() async throws {
        try await host.operation("container.suspend", on: name) { try await host.driver.suspend(name) }
    }

    /// Lets it go on.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not suspended.
    public func resume() async throws {
        try await host.operation("container.resume", on: name) { try await host.driver.resume(name) }
    }

    /// What it uses.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    public func statistics() async throws -> GuestStatistics {
        try await host.driver.statistics(of: name)
    }

    /// Opens its console.
    ///
    /// - Throws: `LXCError` `invalidState` when it is not running.
    public func openConsole() async throws -> any GuestConsole {
        try await host.driver.openConsole(of: name)
    }
}
