// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import HypervisorDriver
public import LXCCore
public import LibvirtXML

/// The rules of `HypervisorDriver`, for authors of a driver.
///
/// The rules of an ability, such as `TransientGuests`, are checked when the driver conforms to its protocol.
///
/// ```swift
/// let conformance = HypervisorDriverConformance(
///     makeDomain: { name in Domain(type: .lxc, name: "\(name)", os: .container(initPath: "/sbin/init")) }
/// ) { check in
///     try await check(MyDriver())
/// }
///
/// @Test(arguments: conformance.checks)
/// func conforms(_ check: ConformanceCheck) async throws { try await check.run() }
/// ```
///
/// The guests are named `conformance-…` and are removed at the end of each rule, kept or broken. Other guests may be
/// there, and are left alone.
public struct HypervisorDriverConformance: Sendable {
    /// Makes a driver, passes it to its argument, and closes it.
    public typealias WithDriver =
        @Sendable (_ check: @Sendable (any HypervisorDriver) async throws -> Void) async throws -> Void

    let timeout: Duration
    private let makeDomain: @Sendable (GuestName) async throws -> Domain
    private let withDriver: WithDriver

    /// Creates the suite from what makes drivers and guests.
    ///
    /// - Parameters:
    ///   - timeout: the time limit for an event or a guest's end.
    ///   - makeDomain: makes the document of a guest that the driver can start and that runs until it is ended.
    ///   - withDriver: makes a driver, once for each rule.
    public init(
        timeout: Duration = .seconds(30), makeDomain: @escaping @Sendable (GuestName) async throws -> Domain,
        _ withDriver: @escaping WithDriver
    ) {
        self.timeout = timeout
        self.makeDomain = makeDomain
        self.withDriver = withDriver
    }

    /// The rules.
    public var checks: [ConformanceCheck] {
        definitionChecks + stateChecks + networkChecks
            + [suspendCheck, shutdownCheck, consoleCheck, eventCheck] + furtherChecks
    }

    /// Runs all checks to the end.
    ///
    /// - Throws: the first ``ConformanceFailure``.
    public func run() async throws { try await checks.runAll() }

    /// A driver, the name of a guest of this check alone, and a document for it.
    func check(
        _ rule: String,
        _ body: @escaping @Sendable (any HypervisorDriver, GuestName, Domain) async throws -> Void
    ) -> ConformanceCheck {
        ConformanceCheck(rule) { [makeDomain, withDriver] in
            try await withDriver { driver in
                let name = try GuestName("conformance-\(UUID().uuidString.prefix(8).lowercased())")
                let result: Result<Void, any Error>
                do {
                    result = .success(try await body(driver, name, makeDomain(name)))
                } catch {
                    result = .failure(error)
                }
                // A cancelled test removes its guest, too.
                await withoutCancellation {
                    try? await driver.kill(name)
                    try? await driver.undefine(name)
                }
                try result.get()
            }
        }
    }

    /// The same for drivers that have an ability; drivers without it pass.
    func check<Ability>(
        _ rule: String, of ability: Ability.Type,
        _ body: @escaping @Sendable (Ability, GuestName, Domain) async throws -> Void
    ) -> ConformanceCheck {
        check(rule) { driver, name, domain in
            guard let driver = driver as? Ability else { return }
            try await body(driver, name, domain)
        }
    }

    // MARK: Definitions

    private var definitionChecks: [ConformanceCheck] {
        [
            check("a defined guest is there and does not run") { driver, name, domain in
                try await driver.define(domain)
                let guest = try await driver.guest(name)
                try requireEqual(guest.name, name, "the name")
                try requireEqual(guest.state, .shutOff, "the state")
                try requireEqual(guest.id, nil, "the id")
                if let uuid = domain.uuid { try requireEqual(guest.uuid, uuid, "the UUID") }
                let guests = try await driver.guests()
                try require(guests.contains(guest), "the guest is not in the list")
                try requireEqual(guests.map(\.name), guests.map(\.name).sorted(), "the list of guests")
            },
            check("the definition is the document's") { driver, name, domain in
                var document = domain
                document.description = "first"
                try await driver.define(document)
                let found = try await driver.definition(of: name)
                try requireEqual(found.name, document.name, "the name")
                try requireEqual(found.type, document.type, "the type")
                try requireEqual(found.description, "first", "the description")
                try requireEqual(found.uuid, try await driver.guest(name).uuid, "the UUID")
            },
            check("defining a guest again changes it") { driver, name, domain in
                try await driver.define(domain)
                var changed = try await driver.definition(of: name)
                changed.description = "second"
                try await driver.define(changed)
                try requireEqual(await driver.definition(of: name).description, "second", "the description")
                try requireEqual(await driver.guests().count { $0.name == name }, 1, "the number of guests of the name")
            },
            check("a name and a UUID that belong to two guests are alreadyExists") { driver, name, domain in
                try await driver.define(domain)
                var other = try await driver.definition(of: name)
                other.uuid = UUID()
                try await requireError(.alreadyExists, by: "another UUID") { [other] in try await driver.define(other) }
                other = try await driver.definition(of: name)
                other.name = "\(name)-2"
                try await requireError(.alreadyExists, by: "another name") { [other] in try await driver.define(other) }
            },
            check("an undefined guest is gone") { driver, name, domain in
                try await driver.define(domain)
                try await driver.undefine(name)
                try await requireError(.notFound, by: "the guest") { try await driver.guest(name) }
                try require(try await !driver.guests().contains { $0.name == name }, "the guest is still in the list")
            },
            check("everything is notFound for a guest that is not defined") { driver, name, _ in
                try await requireError(.notFound, by: "guest") { try await driver.guest(name) }
                try await requireError(.notFound, by: "definition") { try await driver.definition(of: name) }
                try await requireError(.notFound, by: "statistics") { try await driver.statistics(of: name) }
                try await requireError(.notFound, by: "start") { try await driver.start(name) }
                try await requireError(.notFound, by: "kill") { try await driver.kill(name) }
                try await requireError(.notFound, by: "undefine") { try await driver.undefine(name) }
            },
        ]
    }

    // MARK: States

    private var stateChecks: [ConformanceCheck] {
        [
            check("a started guest runs until it is killed, and can be started again") { driver, name, domain in
                try await driver.define(domain)
                for _ in 0..<2 {
                    try await driver.start(name)
                    let guest = try await driver.guest(name)
                    try requireEqual(guest.state, .running, "the state")
                    try require(guest.id != nil, "a running guest has no id")
                    try await driver.kill(name)
                    let ended = try await driver.guest(name)
                    try requireEqual(ended.state, .shutOff, "the state after the end")
                    try requireEqual(ended.uuid, guest.uuid, "the UUID after the end")
                }
            },
            check("what makes no sense in a state is invalidState") { driver, name, domain in
                try await driver.define(domain)
                try await requireError(.invalidState, by: "killing it before its start") {
                    try await driver.kill(name)
                }
                try await requireError(.invalidState, by: "its statistics before its start") {
                    try await driver.statistics(of: name)
                }
                try await driver.start(name)
                try await requireError(.invalidState, by: "starting it twice") { try await driver.start(name) }
                try requireEqual(await driver.guest(name).state, .running, "the state")
            },
            check("a running guest that is undefined goes on and is forgotten when it ends") { driver, name, domain in
                try await driver.define(domain)
                try await driver.start(name)
                try await driver.undefine(name)
                try requireEqual(await driver.guest(name).state, .running, "the state")
                try await driver.kill(name)
                try await requireError(.notFound, by: "the guest") { try await driver.guest(name) }
            },
            check("a running guest has statistics") { driver, name, domain in
                try await driver.define(domain)
                try await driver.start(name)
                let statistics = try await driver.statistics(of: name)
                try require(statistics.virtualCPUs > 0, "the guest has no processor")
                try require(statistics.memoryLimit >= statistics.memoryUsed, "more memory is used than there can be")
            },
        ]
    }

    private var suspendCheck: ConformanceCheck {
        check("a guest can be suspended and resumed", of: (any GuestSuspension).self) { driver, name, domain in
            try await driver.define(domain)
            try await requireError(.invalidState, by: "suspending it before its start") {
                try await driver.suspend(name)
            }
            try await driver.start(name)
            try await requireError(.invalidState, by: "resuming it while it runs") { try await driver.resume(name) }
            try await driver.suspend(name)
            try requireEqual(await driver.guest(name).state, .paused, "the state")
            try await driver.resume(name)
            try requireEqual(await driver.guest(name).state, .running, "the state")
            try await driver.suspend(name)
            try await driver.kill(name)
            try requireEqual(await driver.guest(name).state, .shutOff, "the state after the end")
        }
    }

    private var shutdownCheck: ConformanceCheck {
        check("a guest can be asked to end", of: (any GuestShutdown).self) { driver, name, domain in
            try await driver.define(domain)
            try await requireError(.invalidState, by: "asking it before its start") { try await driver.shutdown(name) }
            try await driver.start(name)
            // The guest may take the request as it likes: only that it can be asked is the driver's part.
            try await driver.shutdown(name)
        }
    }

    private var consoleCheck: ConformanceCheck {
        check("a console can be opened, written to and closed, and ends with its guest", of: (any GuestConsoles).self) {
            [timeout] driver, name, domain in
            try await driver.define(domain)
            try await requireError(.invalidState, by: "opening it before the guest's start") {
                try await driver.openConsole(of: name)
            }
            try await driver.start(name)
            let first = try await driver.openConsole(of: name)
            try await first.write(Array("hello\n".utf8))
            await first.close()
            try requireEqual(await driver.guest(name).state, .running, "the state after closing the console")
            try await requireError(.invalidState, by: "writing to a closed console") { try await first.write([10]) }

            let second = try await driver.openConsole(of: name)
            try await driver.kill(name)
            try await within(timeout, "the end of the console's output") { for try await _ in second.output {} }
        }
    }

    // MARK: Events

    private var eventCheck: ConformanceCheck {
        check("every change is told as an event, in order") { [timeout] driver, name, domain in
            let events = try await driver.events()
            try await driver.define(domain)
            try await driver.start(name)
            var expected: [GuestEvent.Kind] = [.defined, .started]
            if let driver = driver as? any GuestSuspension {
                try await driver.suspend(name)
                try await driver.resume(name)
                expected += [.suspended, .resumed]
            }
            try await driver.kill(name)
            try await driver.undefine(name)
            expected += [.stopped, .undefined]
            let found = try await within(timeout, "the arrival of the events") {
                var kinds: [GuestEvent.Kind] = []
                for try await event in events where event.guest == name {
                    kinds.append(event.kind)
                    if event.kind == .undefined { break }
                }
                return kinds
            }
            try requireEqual(found, expected, "the sequence of events")
        }
    }
}
