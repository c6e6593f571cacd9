public import DomainXML
import Foundation
public import HypervisorDriver
public import LXCCore

/// A hypervisor that runs nothing, for unit tests of programs that drive one.
///
/// Guests go through the states that libvirt's do and their events are told; what happens inside a guest is the test's
/// to say, with ``crash(_:)``, ``write(_:onConsoleOf:)`` and the like.
public actor InMemoryHypervisorDriver: HypervisorDriver {
    /// `in-memory`.
    public nonisolated let name = "in-memory"
    /// What was given to the initializer.
    public nonisolated let capabilities: HypervisorCapabilities

    /// One guest. At least one of the two documents is there.
    private struct Record {
        var uuid: UUID
        /// What survives the guest's end; nil when it was undefined while it ran.
        var persistent: Domain?
        /// What runs.
        var live: Domain?
        var state = GuestState.shutOff
        var id: Int32?
        var obeysShutdown = true
        var statistics: GuestStatistics?
    }

    private let type: DomainType
    private var records: [ContainerName: Record] = [:]
    private var nextID: Int32 = 1
    private var lost: LXCError?
    private var faults = FaultQueue()
    private var listeners: [UUID: AsyncThrowingStream<GuestEvent, any Error>.Continuation] = [:]
    private var consoles: [ContainerName: [InMemoryConsole]] = [:]

    /// A hypervisor without guests.
    ///
    /// - Parameters:
    ///   - type: what the documents must have as their type.
    ///   - capabilities: what it can do; leave one out to see how a program copes.
    public init(
        type: DomainType = .lxc, capabilities: HypervisorCapabilities = [.suspend, .console, .shutdown, .idMap]
    ) {
        self.type = type
        self.capabilities = capabilities
    }

    // MARK: For the test

    /// Makes the next call throw `error`. Called several times, as many calls do.
    public func failNext(with error: any Error) { faults.add(error) }

    /// Ends a running guest by its own failure.
    public func crash(_ guest: ContainerName) { end(guest, .crashed, .crashed) }

    /// Ends a running guest by its own will, as when its init exits.
    public func exit(_ guest: ContainerName) { end(guest, .shutOff, .stopped) }

    /// Whether a guest ends when it is asked to. Without this it does, at once.
    public func setObeysShutdown(_ obeys: Bool, _ guest: ContainerName) { records[guest]?.obeysShutdown = obeys }

    /// Sets what ``statistics(of:)`` says of a guest from now on.
    public func setStatistics(_ statistics: GuestStatistics, of guest: ContainerName) {
        records[guest]?.statistics = statistics
    }

    /// Loses the hypervisor: streams of events end with an `unavailable` error, and every call throws it until
    /// ``reconnect()``. The guests go on.
    public func disconnect() {
        let error = LXCError(.unavailable, "the in-memory hypervisor was disconnected")
        lost = error
        for listener in listeners.values { listener.finish(throwing: error) }
        listeners = [:]
    }

    /// Ends what ``disconnect()`` began.
    public func reconnect() { lost = nil }

    /// Makes a guest write to its consoles.
    public func write(_ bytes: [UInt8], onConsoleOf guest: ContainerName) {
        for console in consoles[guest] ?? [] { console.emit(bytes) }
    }

    /// What was typed at a guest's open consoles, console after console.
    public func typed(atConsoleOf guest: ContainerName) -> [UInt8] {
        (consoles[guest] ?? []).flatMap(\.typed)
    }

    // MARK: Definitions

    /// The type given to the initializer.
    public func domainType() throws -> DomainType {
        try check()
        return type
    }

    /// Keeps the document. A guest without a UUID gets one.
    public func define(_ domain: Domain) throws {
        try check()
        let name = try ContainerName(domain.name)
        guard domain.type == type else {
            throw LXCError(.invalidArgument, "guest \(name) has the type \(domain.type.rawValue), not \(type.rawValue)")
        }
        guard domain.idMap == nil || capabilities.contains(.idMap) else {
            throw LXCError(.unsupported, "guest \(name) has an id map, which this hypervisor cannot apply")
        }
        let uuid = domain.uuid ?? records[name]?.uuid ?? UUID()
        guard records[name].map({ $0.uuid == uuid }) ?? !records.values.contains(where: { $0.uuid == uuid }) else {
            throw LXCError(.alreadyExists, "the name \(name) and the UUID \(uuid) belong to two guests")
        }
        var document = domain
        document.uuid = uuid
        records[name, default: Record(uuid: uuid)].persistent = document
        tell(name, .defined)
    }

    /// Forgets the document; a running guest goes on.
    public func undefine(_ guest: ContainerName) throws {
        var record = try record(guest)
        guard record.persistent != nil else {
            throw LXCError(.invalidState, "guest \(guest) is forgotten already and ends for good when it ends")
        }
        record.persistent = nil
        records[guest] = record.state.isActive ? record : nil
        tell(guest, .undefined)
    }

    // MARK: States

    /// Starts the guest.
    public func start(_ guest: ContainerName) throws {
        var record = try record(guest)
        guard !record.state.isActive else { throw LXCError(.invalidState, "guest \(guest) is running already") }
        record.live = record.persistent
        record.state = .running
        record.id = nextID
        nextID += 1
        records[guest] = record
        tell(guest, .started)
    }

    /// Asks the guest to end, which it does at once unless ``setObeysShutdown(_:_:)`` said otherwise.
    public func shutdown(_ guest: ContainerName) throws {
        let record = try running(guest, needs: .shutdown, "be asked to end")
        guard record.obeysShutdown else { return }
        tell(guest, .shutdown)
        end(guest, .shutOff, .stopped)
    }

    /// Ends the guest.
    public func destroy(_ guest: ContainerName) throws {
        _ = try running(guest)
        end(guest, .shutOff, .stopped)
    }

    /// Suspends the guest.
    public func suspend(_ guest: ContainerName) throws {
        guard try running(guest, needs: .suspend, "be suspended").state != .paused else { return }
        records[guest]?.state = .paused
        tell(guest, .suspended)
    }

    /// Lets the guest go on.
    public func resume(_ guest: ContainerName) throws {
        guard try running(guest, needs: .suspend, "be suspended").state == .paused else {
            throw LXCError(.invalidState, "guest \(guest) is not suspended")
        }
        records[guest]?.state = .running
        tell(guest, .resumed)
    }

    // MARK: Looking

    /// The guests.
    public func guests() throws -> [Guest] {
        try check()
        return records.map { Self.guest($0.key, $0.value) }.sorted { $0.name < $1.name }
    }

    /// One guest.
    public func guest(_ name: ContainerName) throws -> Guest { Self.guest(name, try record(name)) }

    /// The document that runs, or else the one that would.
    public func definition(of guest: ContainerName) throws -> Domain {
        let record = try record(guest)
        guard let document = record.live ?? record.persistent else {
            throw LXCError(.notFound, "there is no guest \(guest)")
        }
        return document
    }

    /// What ``setStatistics(_:of:)`` said; without it, an idle guest's.
    public func statistics(of guest: ContainerName) throws -> GuestStatistics {
        let record = try running(guest)
        return record.statistics
            ?? GuestStatistics(
                cpuNanoseconds: 0, virtualCPUs: record.live?.virtualCPUs?.count ?? 1, memoryUsed: ByteCount(0),
                memoryLimit: record.live?.memory ?? ByteCount(0))
    }

    /// The events from now on.
    public func events() throws -> AsyncThrowingStream<GuestEvent, any Error> {
        try check()
        let (stream, continuation) = AsyncThrowingStream<GuestEvent, any Error>.makeStream()
        let listener = UUID()
        listeners[listener] = continuation
        continuation.onTermination = { [weak self] _ in Task { await self?.forget(listener) } }
        return stream
    }

    /// A console on which nothing is written but what the test has the guest write.
    public func openConsole(of guest: ContainerName) throws -> any GuestConsole {
        _ = try running(guest, needs: .console, "be talked to on a console")
        let console = InMemoryConsole()
        consoles[guest, default: []].append(console)
        return console
    }

    // MARK: Details

    private func check() throws {
        try faults.check()
        if let lost { throw lost }
    }

    private func record(_ guest: ContainerName) throws -> Record {
        try check()
        guard let record = records[guest] else { throw LXCError(.notFound, "there is no guest \(guest)") }
        return record
    }

    private func running(
        _ guest: ContainerName, needs capability: HypervisorCapabilities = [], _ what: String = ""
    ) throws -> Record {
        let record = try record(guest)
        guard capabilities.isSuperset(of: capability) else {
            throw LXCError(.unsupported, "guests of this hypervisor cannot \(what)")
        }
        guard record.state.isActive else { throw LXCError(.invalidState, "guest \(guest) is not running") }
        return record
    }

    private static func guest(_ name: ContainerName, _ record: Record) -> Guest {
        Guest(name: name, uuid: record.uuid, state: record.state, id: record.id)
    }

    private func end(_ guest: ContainerName, _ state: GuestState, _ event: GuestEvent.Kind) {
        guard var record = records[guest], record.state.isActive else { return }
        record.live = nil
        record.id = nil
        record.state = state
        records[guest] = record.persistent == nil ? nil : record
        for console in consoles.removeValue(forKey: guest) ?? [] { console.end() }
        tell(guest, event)
    }

    private func tell(_ guest: ContainerName, _ kind: GuestEvent.Kind) {
        for listener in listeners.values { listener.yield(GuestEvent(guest: guest, kind: kind)) }
    }

    private func forget(_ listener: UUID) { listeners[listener] = nil }
}
