public import HypervisorDriver
public import LXCCore
public import LibvirtXML
public import VifDriver

extension LXCHypervisor {
    /// A system VM the hypervisor knows. A value to hold, as ``Container`` is: it keeps no state, every answer is asked for
    /// anew, and each operation throws what it throws there.
    public struct SystemVM: Sendable {
        /// Where CloudStack's system VMs look for their boot arguments.
        private static let bootArgumentsFile = "/var/cache/cloud/cmdline"

        /// Its name.
        public let name: GuestName
        let keeper: GuestKeeper

        /// What it is and how it is doing.
        public func info() async throws -> Guest { try await keeper.driver.guest(name) }

        /// Its libvirt domain document.
        public func domain() async throws -> Domain { try await keeper.driver.definition(of: name) }

        /// The pool its disk is in; nil for a machine that another program defined.
        public func pool() async throws -> PoolID? { try await domain().containerMetadata()?.pool }

        /// How its processors are made; nil for a document of another type.
        public func acceleration() async throws -> SystemVMSpecification.Acceleration? {
            SystemVMSpecification.Acceleration(rawValue: try await domain().type.rawValue)
        }

        /// Leases its disk for this host and starts it.
        ///
        /// - Parameter bootArguments: given to the guest by its agent once that answers, which is when this returns;
        ///   nil starts it and no more. A guest keeps them on its disk, and needs them again when they have changed.
        /// - Throws: `LXCError` `invalidState` when it runs already, `inUse` when another host has its disk, `unsafe`
        ///   when the disk refers to another file, `hypervisor`; `timedOut` when no agent answers within
        ///   ``Policy/agentTimeout``: it runs then.
        public func start(bootArguments: String? = nil) async throws {
            if let bootArguments {
                try SystemVMSpecification.check(bootArguments, "the boot arguments of \(name)")
            }
            try await keeper.operation("vm.start", on: name) { try await keeper.start(name) }
            guard let bootArguments else { return }
            try await writeFile(Array("\(bootArguments)\n".utf8), to: Self.bootArgumentsFile)
        }

        /// Writes a file inside it, by the guest agent that runs there (the package qemu-guest-agent).
        ///
        /// - Parameters:
        ///   - contents: what the file is to hold, and what it held is gone.
        ///   - path: where it is; its directory must be there.
        /// - Throws: `LXCError` `invalidState` when it is not running, `timedOut` when no agent answers within
        ///   ``Policy/agentTimeout``, `unsupported` without a channel for one, `hypervisor` with what the agent says.
        public func writeFile(_ contents: [UInt8], to path: String) async throws {
            try await Operation.run("vm.write", name.description, keeper.logger) {
                try await keeper.driver.agent.writeFile(
                    contents, to: path, in: name, within: keeper.policy.agentTimeout)
            }
        }

        /// Presses its power button, and turns it off when it has not ended after `grace`; nil is the host's
        /// ``Policy/stopTimeout``. Returns when it has ended.
        @discardableResult
        public func stop(within grace: Duration? = nil) async throws -> StopOutcome {
            try await keeper.operation("vm.stop", on: name) { try await keeper.stop(name, within: grace) }
        }

        /// Ends it as ``stop(within:)`` does and starts it again, its disk leased in between.
        @discardableResult
        public func reboot(within grace: Duration? = nil) async throws -> StopOutcome {
            try await keeper.operation("vm.reboot", on: name) { try await keeper.reboot(name, within: grace) }
        }

        /// Turns it off, deletes its disk and undefines it; its image stays. Idempotent: succeeds if the machine is
        /// gone, and completes an interrupted deletion.
        public func delete() async throws {
            try await keeper.operation("vm.destroy", on: name) { try await keeper.delete(name) }
        }

        /// Stops its processors.
        public func suspend() async throws {
            try await keeper.operation("vm.suspend", on: name) { try await keeper.driver.suspension.suspend(name) }
        }

        /// Resumes it.
        public func resume() async throws {
            try await keeper.operation("vm.resume", on: name) { try await keeper.driver.suspension.resume(name) }
        }

        /// Connects a NIC, of virtio hardware unless it says otherwise, at once where it runs and for its next starts.
        @discardableResult
        public func plugNIC(_ nic: NIC) async throws -> Interface {
            try await keeper.operation("nic.plug", on: name) { try await keeper.plugNIC(nic.ofMachine, of: name) }
        }

        /// Disconnects a NIC, at once where it runs and for its next starts.
        public func unplugNIC(_ deviceID: Int) async throws {
            try await keeper.operation("nic.unplug", on: name) { try await keeper.unplugNIC(deviceID, of: name) }
        }

        /// What it uses.
        public func statistics() async throws -> GuestStatistics { try await keeper.driver.statistics(of: name) }

        /// Opens its serial console.
        public func openConsole() async throws -> any GuestConsole {
            try await keeper.driver.consoles.openConsole(of: name)
        }

        /// Opens its serial console for the time of `body`. It is closed when `body` returns, throws or is cancelled.
        public func withConsole<Value>(_ body: (any GuestConsole) async throws -> Value) async throws -> Value {
            let console = try await openConsole()
            return try await scoped({ try await body(console) }, finally: { await console.close() })
        }

        /// Waits until it is in a state.
        public func wait(for state: GuestState, within limit: Duration? = nil) async throws {
            try await keeper.wait(for: name, toBe: state, within: limit)
        }
    }
}

extension NIC {
    /// The NIC with the hardware virtual machines have where nothing else is said.
    var ofMachine: NIC {
        var nic = self
        nic.model = model ?? "virtio"
        return nic
    }
}
