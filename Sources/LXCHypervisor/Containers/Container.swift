// SPDX-License-Identifier: Apache-2.0

public import HypervisorDriver
public import LXCCore
public import LibvirtXML
public import VifDriver

extension LXCHypervisor {
    /// A container the hypervisor knows. A value to hold: it keeps no state, every answer is asked for anew.
    ///
    /// Operations on one container run one after the other, among all programs of the host; on different containers side by
    /// side. Each throws `LXCError` `timedOut` when another has not ended within ``Policy/operationTimeout``, `notFound`
    /// once the container is deleted (but ``delete()``), `unavailable` while libvirt cannot be reached, `invalidState` from
    /// starting, stopping and deleting one whose volume is in a pool the host does not have, and what it names.
    public struct Container: Sendable {
        /// Its name.
        public let name: GuestName
        let keeper: GuestKeeper

        /// What it is and how it is doing.
        public func info() async throws -> Guest {
            try await keeper.driver.guest(name)
        }

        /// Its libvirt domain document.
        public func domain() async throws -> Domain {
            try await keeper.driver.definition(of: name)
        }

        /// The pool its volume is in; nil for a container that another program defined.
        public func pool() async throws -> PoolID? { try await domain().containerMetadata()?.pool }

        /// Leases its volume for this host and starts it.
        ///
        /// - Throws: `LXCError` `invalidState` when it runs already, `inUse` when another host has its volume,
        ///   `unsafe` when its root was made dangerous to start from, `hypervisor`.
        public func start() async throws {
            try await keeper.operation("container.start", on: name) { try await keeper.start(name) }
        }

        /// Asks it to end by the signal its process 1 ends by, and kills it when it has not after `grace`; nil is the
        /// host's ``Policy/stopTimeout``. Returns when it has ended. It is not started again by its restart policy.
        @discardableResult
        public func stop(within grace: Duration? = nil) async throws -> StopOutcome {
            try await keeper.operation("container.stop", on: name) { try await keeper.stop(name, within: grace) }
        }

        /// Kills it, deletes its volume and undefines it. Idempotent: succeeds if the container is gone, and completes an
        /// interrupted deletion.
        ///
        /// - Throws: `LXCError` `inUse` when another host has its volume; the container stays then.
        public func delete() async throws {
            try await keeper.operation("container.destroy", on: name) {
                try await keeper.delete(name) { record in
                    if record?.metadata.consoleLog != nil { await keeper.removeConsoleLog(of: name) }
                }
            }
        }

        /// Suspends its processes.
        ///
        /// - Throws: `LXCError` `invalidState` when it is not running.
        public func suspend() async throws {
            try await keeper.operation("container.suspend", on: name) {
                try await keeper.driver.suspension.suspend(name)
            }
        }

        /// Resumes it.
        ///
        /// - Throws: `LXCError` `invalidState` when it is not suspended.
        public func resume() async throws {
            try await keeper.operation("container.resume", on: name) { try await keeper.driver.suspension.resume(name) }
        }

        /// Connects a NIC, at once where it runs and for its next starts (PlugNic): when this returns the interface is
        /// in the container, has its name and is up. A NIC that is there already, by its number and address, is no
        /// error.
        ///
        /// - Parameter nic: the NIC; without an address it gets one of its own.
        /// - Returns: the interface.
        /// - Throws: `LXCError` `alreadyExists` when the container has another NIC or device of that number, or a guest of the host
        ///   has the address; `inUse` while that is given to another guest, `notFound` without the bridge or device, `invalidArgument`, `unsupported`, `invalidState` when libvirt cannot reach
        ///   the running container; nothing is plugged then.
        @discardableResult
        public func plugNIC(_ nic: NIC) async throws -> Interface {
            try await keeper.operation("nic.plug", on: name) { try await keeper.plugNIC(nic, of: name) }
        }

        /// Disconnects a NIC, at once where it runs and for its next starts (UnPlugNic). Succeeds if it is not there.
        ///
        /// - Parameter deviceID: the NIC's number.
        /// - Throws: `LXCError` `unsupported` for a direct one while the container runs.
        public func unplugNIC(_ deviceID: Int) async throws {
            try await keeper.operation("nic.unplug", on: name) { try await keeper.unplugNIC(deviceID, of: name) }
        }

        /// Changes what it may send and receive on a NIC (SecurityGroupRules); the new rules hold when this returns, also
        /// while it runs.
        ///
        /// - Parameters:
        ///   - security: what holds from now on, in the place of what held before.
        ///   - deviceID: the NIC's number.
        /// - Throws: `LXCError` `notFound` without the NIC, `invalidState` when it was plugged without security.
        public func setSecurity(_ security: NICSecurity, ofNIC deviceID: Int) async throws {
            try await keeper.operation("nic.secure", on: name) {
                try await keeper.setSecurity(security, ofNIC: deviceID, of: name)
            }
        }

        /// What it uses.
        ///
        /// - Throws: `LXCError` `invalidState` when it is not running.
        public func statistics() async throws -> GuestStatistics {
            try await keeper.driver.statistics(of: name)
        }

        /// Opens its console. Where that is logged, nothing is logged until it is closed; ``withConsole(_:)`` closes it by
        /// itself.
        ///
        /// - Throws: `LXCError` `invalidState` when it is not running.
        public func openConsole() async throws -> any GuestConsole {
            try await keeper.openConsole(of: name)
        }

        /// Opens its console for the time of `body`. It is closed when `body` returns, throws or is cancelled.
        ///
        /// - Parameter body: what reads and writes the console.
        /// - Returns: what `body` returns.
        /// - Throws: as ``openConsole()``, and what `body` throws.
        public func withConsole<Value>(_ body: (any GuestConsole) async throws -> Value) async throws -> Value {
            let console = try await openConsole()
            return try await scoped({ try await body(console) }, finally: { await console.close() })
        }

        /// What it has written on its console, as far as it was kept (`ContainerSpecification.consoleLog`). It stays
        /// when the container ends, until it is destroyed.
        ///
        /// - Parameters:
        ///   - position: where an earlier answer ended; nil takes the last of all there is. What has been dropped since is
        ///     left out.
        ///   - limit: how much of it is returned at the most: the last.
        /// - Returns: the bytes, and where they end.
        /// - Throws: `LXCError` `notFound` where nothing was kept.
        public func consoleLog(
            after position: ConsoleLogPosition? = nil, last limit: ByteCount = .kibibytes(64)
        ) async throws -> ConsoleLogPart {
            let log = keeper.consoleLog(of: name)
            let part = try await BlockingPool.shared.run { _ in
                try log.read(after: position, last: Int(clamping: limit.bytes))
            }
            guard let part else {
                throw LXCError(
                    .notFound,
                    "nothing is kept of the console of \(name); ask for it by consoleLog in its specification, and have a "
                        + "program run the service that keeps it")
            }
            return part
        }

        /// Tells its console the size of the terminal it is shown on.
        ///
        /// - Throws: `LXCError` `invalidState` when it is not running.
        public func resizeConsole(to size: TerminalSize) async throws {
            try await keeper.driver.consoleResizing.resizeConsole(of: name, to: size)
        }
    }
}
