// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import HypervisorDriver
public import LXCCore
public import LibvirtXML

/// A hypervisor that runs nothing, for unit tests of programs that drive one.
///
/// Guests go through the states that libvirt's do and their events are reported; what happens inside a guest is the test's
/// to say, with ``crash(_:)``, ``write(_:onConsoleOf:)`` and the like. To see how a program copes with a driver that lacks
/// an ability, wrap it in a type of your own that conforms to fewer protocols, or in ``CoreHypervisorDriver``.
public actor InMemoryHypervisorDriver: TransientGuests, GuestShutdown, GuestSignalling, GuestSuspension, GuestAutostart,
    GuestConsoles, GuestInterfaces, NetworkFiltering, GuestLimiting
{
    /// `in-memory`.
    public nonisolated let name = "in-memory"
    /// The value given to the initializer.
    public nonisolated let sharesGuests: Bool

    /// One guest. At least one of the two documents is there.
    private struct Record {
        var uuid: UUID
        /// The document that survives the guest's end; nil if it was undefined while it ran.
        var persistent: Domain?
        /// The document of the running guest.
        var live: Domain?
        var state = GuestState.shutOff
        var id: Int32?
        var obeysShutdown = true
        var isAutostarted = false
        var limits = GuestLimits()
        var statistics: GuestStatistics?
    }

    /// The network filters that are known, by name.
    public private(set) var networkFilters: [String: NetworkFilter] = [:]

    private let type: DomainType
    private var records: [GuestName: Record] = [:]
    private var nextID: Int32 = 1
    private var lost: LXCError?
    private var faults = FaultQueue()
    private var listeners: [UUID: AsyncThrowingStream<GuestEvent, any Error>.Continuation] = [:]
    private var consoles: [GuestName: [InMemoryConsole]] = [:]
    /// Events during the loss of the hypervisor.
    private var missed: [GuestEvent] = []
    private var signals: [GuestName: [GuestSignal]] = [:]

    /// A hypervisor without guests.
    ///
    /// - Parameters:
    ///   - type: the required type of documents.
    ///   - sharesGuests: whether operations exclude each other as those of several programs do.
    public init(type: DomainType = .lxc, sharesGuests: Bool = false) {
        self.sharesGuests = sharesGuests
        self.type = type
    }

    // MARK: For the test

    /// Makes the next call throw `error`. Called several times, as many calls do.
    public func failNext(with error: any Error) { faults.add(error) }

    /// Ends a running guest by its own failure.
    public func crash(_ guest: GuestName) { end(guest, .crashed, .crashed) }

    /// Ends a running guest by its own will, as when its init exits.
    public func exit(_ guest: GuestName) { end(guest, .shutOff, .stopped) }

    /// Sets whether a guest ends when asked to. By default it does, immediately.
    public func setObeysShutdown(_ obeys: Bool, _ guest: GuestName) { records[guest]?.obeysShutdown = obeys }

    /// Sets the result of ``statistics(of:)`` for a guest.
    public func setStatistics(_ statistics: GuestStatistics, of guest: GuestName) {
        records[guest]?.statistics = statistics
    }

    /// Loses the hypervisor: every call throws an `unavailable` error until ``reconnect()``. The guests go on.
    public func disconnect() { lost = LXCError(.unavailable, "the in-memory hypervisor was disconnected") }

    /// Ends the loss started by ``disconnect()``; event streams report the events in between.
    public func reconnect() {
        lost = nil
        for event in missed { tell(event.guest, event.kind) }
        missed = []
    }

    /// The signals a guest was sent, oldest first.
    public func signals(to guest: GuestName) -> [GuestSignal] { signals[guest] ?? [] }

    /// Makes a guest write to its consoles.
    public func write(_ bytes: [UInt8], onConsoleOf guest: GuestName) {
        for console in consoles[guest] ?? [] { console.emit(bytes) }
    }

    /// The input typed at a guest's consoles, console after console.
    public func typed(atConsoleOf guest: GuestName) -> [UInt8] {
        (consoles[guest] ?? []).flatMap(\.typed)
    }

    // MARK: Definitions

    /// The type given to the initializer.
    public func domainType() throws -> DomainType {
        try check()
        return type
    }

    /// Stores the document. A guest without a UUID gets one.
    public func define(_ domain: Domain) throws {
        try check()
        let name = try GuestName(domain.name)
        guard domain.type == type else {
            throw LXCError(.invalidArgument, "guest \(name) has the type \(domain.type.rawValue), not \(type.rawValue)")
        }
        guard domain.idMap == nil || type == .lxc else {
            throw LXCError(.unsupported, "guest \(name) has an id map, which only containers can have")
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

    /// Forgets the document; a running guest continues.
    public func undefine(_ guest: GuestName) throws {
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
    public func start(_ guest: GuestName) throws {
        var record = try record(guest)
        guard !record.state.isActive else { throw LXCError(.invalidState, "guest \(guest) is running already") }
        record.live = record.persistent
        record.state = .running
        record.id = nextID
        nextID += 1
        records[guest] = record
        tell(guest, .started)
    }

    /// Starts a guest that is forgotten when it ends.
    public func startTransient(_ domain: Domain) async throws {
        try check()
        let name = try GuestName(domain.name)
        guard domain.type == type else {
            throw LXCError(.invalidArgument, "guest \(name) has the type \(domain.type.rawValue), not \(type.rawValue)")
        }
        guard records[name] == nil else { throw LXCError(.invalidState, "there is a guest \(name) already") }
        var record = Record(uuid: domain.uuid ?? UUID())
        record.live = domain
        record.live?.uuid = record.uuid
        record.state = .running
        record.id = nextID
        nextID += 1
        records[name] = record
        tell(name, .started)
    }

    /// Records the signal for ``signals(to:)``; an obedient guest ends, as by ``shutdown(_:)``.
    public func send(_ signal: GuestSignal, to guest: GuestName) async throws {
        let record = try running(guest)
        signals[guest, default: []].append(signal)
        if record.obeysShutdown, record.state != .paused { end(guest, .shutOff, .stopped) }
    }

    /// Asks the guest to end, which it does immediately unless ``setObeysShutdown(_:_:)`` disabled that, or it is
    /// suspended.
    public func shutdown(_ guest: GuestName) throws {
        let record = try running(guest)
        guard record.obeysShutdown, record.state != .paused else { return }
        tell(guest, .shutdown)
        end(guest, .shutOff, .stopped)
    }

    /// Ends the guest.
    public func kill(_ guest: GuestName) throws {
        _ = try running(guest)
        end(guest, .shutOff, .stopped)
    }

    /// Suspends the guest.
    public func suspend(_ guest: GuestName) throws {
        guard try running(guest).state != .paused else { return }
        records[guest]?.state = .paused
        tell(guest, .suspended)
    }

    /// Lets the guest go on.
    public func resume(_ guest: GuestName) throws {
        guard try running(guest).state == .paused else {
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
    public func guest(_ name: GuestName) throws -> Guest { Self.guest(name, try record(name)) }

    /// The running document, or else the stored one.
    public func definition(of guest: GuestName) throws -> Domain {
        let record = try record(guest)
        guard let document = record.live ?? record.persistent else {
            throw LXCError(.notFound, "there is no guest \(guest)")
        }
        return document
    }

    /// The value set by ``setStatistics(_:of:)``; without it, an idle guest's.
    public func statistics(of guest: GuestName) async throws -> GuestStatistics {
        let record = try running(guest)
        return record.statistics
            ?? GuestStatistics(
                cpuTime: .zero, virtualCPUs: record.live?.virtualCPUs?.count ?? 1, memoryUsed: ByteCount(0),
                memoryLimit: record.live?.memory ?? ByteCount(0))
    }

    /// The limits set by ``setLimits(_:of:)``.
    public func limits(of guest: GuestName) async throws -> GuestLimits { try record(guest).limits }

    /// Keeps the limits after the change.
    public func setLimits(_ change: GuestLimits.Change, of guest: GuestName) async throws {
        try change.check()
        let old = try record(guest).limits
        records[guest]?.limits = change.applied(to: old)
    }

    /// The value set by ``setAutostart(_:of:)``.
    public func isAutostarted(_ guest: GuestName) async throws -> Bool {
        try record(guest).isAutostarted
    }

    /// Stores the value.
    public func setAutostart(_ isOn: Bool, of guest: GuestName) async throws {
        guard try record(guest).persistent != nil else {
            throw LXCError(.invalidState, "guest \(guest) is forgotten when it ends")
        }
        records[guest]?.isAutostarted = isOn
    }

    /// Puts the element into the guest's documents.
    public func setMetadata(_ element: XMLFragment?, namespace: String, of guest: GuestName) throws {
        try change(guest) { domain in
            domain.metadata.removeAll { $0.name.namespace == namespace }
            if let element { domain.metadata.append(element) }
        }
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

    /// A console that shows only the output the test supplies.
    public func openConsole(of guest: GuestName) throws -> any GuestConsole {
        _ = try running(guest)
        let console = InMemoryConsole()
        consoles[guest, default: []].append(console)
        return console
    }

    // MARK: Networks

    /// Adds the interface to the documents.
    public func attach(_ interface: Interface, to guest: GuestName) throws {
        guard let mac = interface.mac else {
            throw LXCError(.invalidArgument, "an interface attached to \(guest) needs a hardware address")
        }
        if let live = try record(guest).live,
            live.interfaces.contains(where: { $0.mac != mac && $0.guestDevice == interface.guestDevice })
        {
            throw LXCError(.alreadyExists, "guest \(guest) has another network device of that name already")
        }
        let documents = try [record(guest).live, record(guest).persistent].compactMap { $0 }
        for other in documents.flatMap(\.interfaces) where other.mac == mac {
            guard other.guestDevice == interface.guestDevice, other.kind == interface.kind else {
                throw LXCError(.alreadyExists, "guest \(guest) has an interface with the address \(mac) already")
            }
        }
        try change(guest) { domain in
            if !domain.interfaces.contains(where: { $0.mac == mac }) { domain.interfaces.append(interface) }
        }
    }

    /// Removes the interface from the documents.
    public func detach(_ address: MACAddress, from guest: GuestName) throws {
        try change(guest) { $0.interfaces.removeAll { $0.mac == address } }
    }

    /// Stores the filter in ``networkFilters``.
    public func define(_ filter: NetworkFilter) throws {
        try check()
        _ = try filter.xml()
        networkFilters[filter.name] = filter
    }

    /// Forgets the filter.
    public func undefineNetworkFilter(_ name: String) throws {
        try check()
        let isUsed = records.values.contains { $0.live?.interfaces.contains { $0.filter?.filter == name } ?? false }
        guard !isUsed else { throw LXCError(.inUse, "the network filter \(name.escapedForDisplay) is in use") }
        networkFilters[name] = nil
    }

    // MARK: Details

    private func change(_ guest: GuestName, _ body: (inout Domain) throws -> Void) throws {
        var record = try record(guest)
        if var domain = record.persistent {
            try body(&domain)
            record.persistent = domain
        }
        if var domain = record.live {
            try body(&domain)
            record.live = domain
        }
        records[guest] = record
    }

    private func check() throws {
        try faults.check()
        if let lost { throw lost }
    }

    private func record(_ guest: GuestName) throws -> Record {
        try check()
        guard let record = records[guest] else { throw LXCError(.notFound, "there is no guest \(guest)") }
        return record
    }

    private func running(_ guest: GuestName) throws -> Record {
        let record = try record(guest)
        guard record.state.isActive else { throw LXCError(.invalidState, "guest \(guest) is not running") }
        return record
    }

    private static func guest(_ name: GuestName, _ record: Record) -> Guest {
        Guest(
            name: name, uuid: record.uuid, state: record.state, id: record.id, isTransient: record.persistent == nil)
    }

    private func end(_ guest: GuestName, _ state: GuestState, _ event: GuestEvent.Kind) {
        guard var record = records[guest], record.state.isActive else { return }
        record.live = nil
        record.id = nil
        record.state = state
        records[guest] = record.persistent == nil ? nil : record
        for console in consoles.removeValue(forKey: guest) ?? [] { console.end() }
        tell(guest, event)
    }

    private func tell(_ guest: GuestName, _ kind: GuestEvent.Kind) {
        if lost != nil { return missed.append(GuestEvent(guest: guest, kind: kind)) }
        for listener in listeners.values { listener.yield(GuestEvent(guest: guest, kind: kind)) }
    }

    private func forget(_ listener: UUID) { listeners[listener] = nil }
}
