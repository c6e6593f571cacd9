import DomainXML
import HypervisorDriver
import LXCCore
import PrimaryStore

extension LXCHypervisor {
    func start(_ name: ContainerName) async throws {
        try await operation("container.start", on: name) {
            let domain = try await driver.definition(of: name)
            guard try await !driver.guest(name).state.isActive else {
                throw LXCError(.invalidState, "container \(name) is running already")
            }
            guard let volume = try domain.containerMetadata()?.volume else {
                try await driver.start(name)  // Defined by another program, which looks after its root.
                return
            }
            _ = try await primary.acquireLease(on: volume, for: hostName)
            do {
                // The store looks at the root again: the container could have changed it since it was cloned.
                _ = try await primary.hostPath(of: volume)
                try await driver.start(name)
            } catch {
                try? await Task { [primary, hostName] in
                    try await primary.releaseLease(on: volume, by: hostName)
                }.value
                throw error
            }
        }
    }

    func stop(_ name: ContainerName, within grace: Duration) async throws -> Container.StopOutcome {
        try await operation("container.stop", on: name) {
            let outcome = try await end(name, within: grace)
            try await releaseLease(of: name)
            return outcome
        }
    }

    func destroy(_ name: ContainerName) async throws {
        try await operation("container.destroy", on: name) {
            let domain = try await driver.definition(of: name)
            if try await driver.guest(name).state.isActive { try await kill(name) }
            try await releaseLease(of: name)
            try await driver.undefine(name)
            try await vifs.unplug(domain.interfaces)
            // Last, so that a container that is known always has its root.
            if let volume = try domain.containerMetadata()?.volume { try await primary.deleteVolume(volume) }
        }
    }

    /// Asks, waits for the event, and kills when it does not come.
    private func end(_ name: ContainerName, within grace: Duration) async throws -> Container.StopOutcome {
        guard try await driver.guest(name).state.isActive else { return .notRunning }
        if driver.capabilities.contains(.shutdown), grace > .zero {
            // Listening begins before asking, so that the end cannot be missed.
            let events = try await driver.events()
            try await driver.shutdown(name)
            if try await Self.ended(name, events, within: grace) { return .graceful }
        }
        return try await kill(name) ? .forced : .graceful
    }

    /// Whether the guest's end was seen in time.
    private static func ended(
        _ name: ContainerName, _ events: AsyncThrowingStream<GuestEvent, any Error>, within grace: Duration
    ) async throws -> Bool {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                for try await event in events where event.guest == name {
                    if event.kind == .stopped || event.kind == .crashed { return true }
                }
                return false
            }
            group.addTask {
                try await Task.sleep(for: grace)
                return false
            }
            defer { group.cancelAll() }
            return try await group.next() ?? false
        }
    }

    /// Kills the guest; says false when it had ended by itself just before.
    @discardableResult
    private func kill(_ name: ContainerName) async throws -> Bool {
        do {
            try await driver.destroy(name)
            return true
        } catch let error as LXCError where error.code == .invalidState {
            return false
        }
    }

    /// Gives the volume of a container that is not running back.
    func releaseLease(of name: ContainerName) async throws {
        guard let volume = try await driver.definition(of: name).containerMetadata()?.volume else { return }
        try await primary.releaseLease(on: volume, by: hostName)
    }
}
