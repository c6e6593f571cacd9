// SPDX-License-Identifier: Apache-2.0

public import HypervisorDriver
public import LXCCore
public import LibvirtXML
public import VifDriver

extension LXCHypervisor {
    /// A system VM known to the hypervisor. A handle, as ``Container`` is: it keeps no state, every property is queried
    /// again, and each operation throws the same errors as there.
    public struct SystemVM: Sendable {
        /// The file in which CloudStack's system VMs look for their boot arguments.
        private static let bootArgumentsFile = "/var/cache/cloud/cmdline"

        /// The machine's name.
        public let name: GuestName
        let keeper: GuestKeeper

        /// The machine's properties and state.
        public func info() async throws -> Guest { try await keeper.driver.guest(name) }

        /// The machine's libvirt domain document.
        public func domain() async throws -> Domain { try await keeper.driver.definition(of: name) }

        /// The pool that holds its disk; `nil` for a machine that another program defined.
        public func pool() async throws -> PoolID? { try await domain().containerMetadata()?.pool }

        /// The way its processors are virtualized; `nil` for a document of another type.
        public func acceleration() async throws -> SystemVMSpecification.Acceleration? {
            SystemVMSpecification.Acceleration(rawValue: try await domain().type.rawValue)
        }

        /// Takes the lease on its disk for this host and starts it.
        ///
        /// - Parameter bootArguments: passed to the guest by its agent once the agent answers, which is when this
        ///   returns; `nil` only starts the machine. A guest keeps them on its disk and needs them again only if they
        ///   have changed.
        /// - Throws: `LXCError` `invalidState` if it is already running, `inUse` if another host has its disk, `unsafe`
        ///   if the disk refers to another file, `hypervisor`; `timedOut` if no agent answers within
        ///   ``Policy/agentTimeout``, in which case the machine is running.
        public func start(bootArguments: String? = nil) async throws {
            if let bootArguments {
                try SystemVMSpecification.check(bootArguments, "the boot arguments of \(name)")
            }
            try await keeper.operation("vm.start", on: name) { try await keeper.start(name) }
            guard let bootArguments else { return }
            try await writeFile(Array("\(bootArguments)\n".utf8), to: Self.bootArgumentsFile)
        }

        /// Writes a file inside the machine through its guest agent (the package qemu-guest-agent).
        ///
        /// - Parameters:
        ///   - contents: the new contents, which replace the old.
        ///   - path: the file's path; its directory must exist.
        /// - Throws: `LXCError` `invalidState` if it is not running, `timedOut` if no agent answers within
        ///   ``Policy/agentTimeout``, `unsupported` without an agent channel, `hypervisor` with the agent's error.
        public func writeFile(_ contents: [UInt8], to path: String) async throws {
            try await Operation.run("vm.write", name.description, keeper.logger) {
                try await keeper.driver.agent.writeFile(
                    contents, to: path, in: name, within: keeper.policy.agentTimeout)
            }
        }

        /// Presses the machine's power button, and powers it off if it has not ended after `grace`; `nil` uses the
        /// host's ``Policy/stopTimeout``. Returns once it has ended.
        @discardableResult
        public func stop(within grace: Duration? = nil) async throws -> StopOutcome {
            try await keeper.operation("vm.stop", on: name) { try await keeper.stop(name, within: grace) }
        }

        /// Stops the machine as ``stop(within:)`` does and starts it again, taking the lease on its disk in between.
        @discardableResult
        public func reboot(within grace: Duration? = nil) async throws -> StopOutcome {
            try await keeper.operation("vm.reboot", on: name) { try await keeper.reboot(name, within: grace) }
        }

        /// Powers the machine off, deletes its disk and undefines it; its image is kept. Idempotent: succeeds if the
        /// machine is gone, and completes an interrupted deletion.
        public func delete() async throws {
            try await keeper.operation("vm.destroy", on: name) { try await keeper.delete(name) }
        }

        /// Pauses the machine's processors.
        public func suspend() async throws {
            try await keeper.operation("vm.suspend", on: name) { try await keeper.driver.suspension.suspend(name) }
        }

        /// Resumes the machine.
        public func resume() async throws {
            try await keeper.operation("vm.resume", on: name) { try await keeper.driver.suspension.resume(name) }
        }

        /// Connects a NIC, of model virtio unless specified otherwise: immediately if the machine runs, and for its
        /// next starts.
        @discardableResult
        public func plugNIC(_ nic: NIC) async throws -> Interface {
            try await keeper.operation("nic.plug", on: name) { try await keeper.plugNIC(nic.ofMachine, of: name) }
        }

        /// Disconnects a NIC: immediately if the machine runs, and for its next starts.
        public func unplugNIC(_ deviceID: Int) async throws {
            try await keeper.operation("nic.unplug", on: name) { try await keeper.unplugNIC(deviceID, of: name) }
        }

        /// The machine's resource usage.
        public func statistics() async throws -> GuestStatistics { try await keeper.driver.statistics(of: name) }

        /// Opens the machine's serial console.
        public func openConsole() async throws -> any GuestConsole {
            try await keeper.driver.consoles.openConsole(of: name)
        }

        /// Opens the machine's serial console while `body` runs. It is closed when `body` returns, throws or is
        /// cancelled.
        public func withConsole<Value>(_ body: (any GuestConsole) async throws -> Value) async throws -> Value {
            let console = try await openConsole()
            return try await scoped({ try await body(console) }, finally: { await console.close() })
        }

        /// Waits until the machine is in the given state.
        public func wait(for state: GuestState, within limit: Duration? = nil) async throws {
            try await keeper.wait(for: name, toBe: state, within: limit)
        }
    }
}

extension NIC {
    /// The NIC with the default model of virtual machines if it specifies none.
    var ofMachine: NIC {
        var nic = self
        nic.model = model ?? "virtio"
        return nic
    }
}
