// SPDX-License-Identifier: Apache-2.0

public import HypervisorDriver
public import LXCCore
public import LibvirtXML
public import VifDriver

extension LXCHypervisor {
    /// A container known to the hypervisor. This value holds no state; every property is queried from the hypervisor.
    ///
    /// Operations on one container are serialized across all programs of the host; operations on different containers
    /// run concurrently. Each throws `LXCError` `timedOut` if another operation has not ended within
    /// ``Policy/operationTimeout``, `notFound` if the container has been deleted (except ``delete()``), `unavailable`
    /// while libvirt cannot be reached, `invalidState` when starting, stopping or deleting a container whose volume is
    /// in a pool the host does not have, and the errors it documents.
    public struct Container: Sendable {
        /// The name of the container.
        public let name: GuestName
        let keeper: GuestKeeper

        /// The description and the current state of the container.
        public func info() async throws -> Guest {
            try await keeper.driver.guest(name)
        }

        /// The libvirt domain document of the container.
        public func domain() async throws -> Domain {
            try await keeper.driver.definition(of: name)
        }

        /// The pool of the container's volume; `nil` for a container defined by another program.
        public func pool() async throws -> PoolID? { try await domain().containerMetadata()?.pool }

        /// Leases the container's volume for this host and starts the container.
        ///
        /// - Throws: `LXCError` `invalidState` if it is already running, `inUse` if another host has its volume,
        ///   `unsafe` if its root was made unsafe to start from, `hypervisor`.
        public func start() async throws {
            try await keeper.operation("container.start", on: name) { try await keeper.start(name) }
        }

        /// Requests a shutdown with the signal process 1 of the container ends on, and kills the container if it has
        /// not ended after `grace`; `nil` uses the host's ``Policy/stopTimeout``. Returns when the container has ended.
        /// Its restart policy does not restart it.
        @discardableResult
        public func stop(within grace: Duration? = nil) async throws -> StopOutcome {
            try await keeper.operation("container.stop", on: name) { try await keeper.stop(name, within: grace) }
        }

        /// Kills the container, deletes its volume and undefines it. Idempotent: succeeds if the container is gone, and
        /// completes an interrupted deletion.
        ///
        /// - Throws: `LXCError` `inUse` if another host has its volume; the container is then kept.
        public func delete() async throws {
            try await keeper.operation("container.destroy", on: name) {
                try await keeper.delete(name) { record in
                    if record?.metadata.consoleLog != nil { await keeper.removeConsoleLog(of: name) }
                }
            }
        }

        /// Suspends the container's processes.
        ///
        /// - Throws: `LXCError` `invalidState` if it is not running.
        public func suspend() async throws {
            try await keeper.operation("container.suspend", on: name) {
                try await keeper.driver.suspension.suspend(name)
            }
        }

        /// Resumes the container's processes.
        ///
        /// - Throws: `LXCError` `invalidState` if it is not suspended.
        public func resume() async throws {
            try await keeper.operation("container.resume", on: name) { try await keeper.driver.suspension.resume(name) }
        }

        /// Connects a NIC, immediately if the container is running, and for its next starts (PlugNic): when this
        /// returns, the interface is in the container, has its name and is up. Succeeds if a NIC with the same number
        /// and address is already connected.
        ///
        /// - Parameter nic: the NIC; one without an address is assigned one.
        /// - Returns: the interface.
        /// - Throws: `LXCError` `alreadyExists` if the container has another NIC or device of that number, or a guest
        ///   of the host has the address; `inUse` while the address is being assigned to another guest, `notFound` if
        ///   the bridge or device is missing, `invalidArgument`, `unsupported`, `invalidState` if libvirt cannot reach
        ///   the running container. Nothing is plugged in these cases.
        @discardableResult
        public func plugNIC(_ nic: NIC) async throws -> Interface {
            try await keeper.operation("nic.plug", on: name) { try await keeper.plugNIC(nic, of: name) }
        }

        /// Disconnects a NIC, immediately if the container is running, and for its next starts (UnPlugNic). Succeeds if
        /// the NIC is not connected.
        ///
        /// - Parameter deviceID: the NIC's number.
        /// - Throws: `LXCError` `unsupported` for a direct NIC while the container is running.
        public func unplugNIC(_ deviceID: Int) async throws {
            try await keeper.operation("nic.unplug", on: name) { try await keeper.unplugNIC(deviceID, of: name) }
        }

        /// Changes what the container may send and receive on a NIC (SecurityGroupRules); the new rules are in force
        /// when this returns, even while the container is running.
        ///
        /// - Parameters:
        ///   - security: the new rules, replacing the previous ones.
        ///   - deviceID: the NIC's number.
        /// - Throws: `LXCError` `notFound` if the NIC does not exist, `invalidState` if it was plugged without
        ///   security.
        public func setSecurity(_ security: NICSecurity, ofNIC deviceID: Int) async throws {
            try await keeper.operation("nic.secure", on: name) {
                try await keeper.setSecurity(security, ofNIC: deviceID, of: name)
            }
        }

        /// The resource usage of the container.
        ///
        /// - Throws: `LXCError` `invalidState` if it is not running.
        public func statistics() async throws -> GuestStatistics {
            try await keeper.driver.statistics(of: name)
        }

        /// Opens the container's console. If the console is logged, logging pauses until it is closed;
        /// ``withConsole(_:)`` closes it automatically.
        ///
        /// - Throws: `LXCError` `invalidState` if it is not running.
        public func openConsole() async throws -> any GuestConsole {
            try await keeper.openConsole(of: name)
        }

        /// Opens the container's console for the duration of `body`. The console is closed when `body` returns, throws
        /// or is cancelled.
        ///
        /// - Parameter body: reads and writes the console.
        /// - Returns: the result of `body`.
        /// - Throws: the errors of ``openConsole()`` and those of `body`.
        public func withConsole<Value>(_ body: (any GuestConsole) async throws -> Value) async throws -> Value {
            let console = try await openConsole()
            return try await scoped({ try await body(console) }, finally: { await console.close() })
        }

        /// The console output of the container, as far as it was kept (`ContainerSpecification.consoleLog`). It remains
        /// after the container ends, until the container is destroyed.
        ///
        /// - Parameters:
        ///   - position: where an earlier result ended; `nil` returns the end of all output. Output dropped since then
        ///     is omitted.
        ///   - limit: the maximum size returned, taken from the end of the output.
        /// - Returns: the bytes and the position at which they end.
        /// - Throws: `LXCError` `notFound` if no output was kept.
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

        /// Sets the terminal size of the container's console.
        ///
        /// - Throws: `LXCError` `invalidState` if it is not running.
        public func resizeConsole(to size: TerminalSize) async throws {
            try await keeper.driver.consoleResizing.resizeConsole(of: name, to: size)
        }
    }
}
