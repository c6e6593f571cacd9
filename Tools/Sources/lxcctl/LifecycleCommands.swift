// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import FoundationEssentials
import LXCCore
public import LXCHypervisor

struct RebootContainer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reboot", abstract: "Stops a container as `stop` does, and starts it again.")

    @OptionGroup var argument: ContainerArgument
    @Option(help: ArgumentHelp("How long it has to end by itself.", valueName: "seconds"))
    var timeout: Double = 30

    func validate() throws { try checkSeconds(timeout, of: "--timeout") }

    func run() async throws {
        _ = try await argument.withContainer { try await $0.reboot(within: .seconds(timeout)) }
        try argument.report("running")
    }
}

struct SuspendContainer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "suspend", abstract: "Stops a container's processes where they are.")

    @OptionGroup var argument: ContainerArgument

    func run() async throws {
        try await argument.withContainer { try await $0.suspend() }
        try argument.report("paused")
    }
}

struct ResumeContainer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Lets a suspended container go on.")

    @OptionGroup var argument: ContainerArgument

    func run() async throws {
        try await argument.withContainer { try await $0.resume() }
        try argument.report("running")
    }
}

extension GuestState: @retroactive ExpressibleByArgument {}

struct WaitForContainer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait", abstract: "Waits until a container is in a state.")

    @OptionGroup var argument: ContainerArgument
    @Option(help: "The state.")
    var state: GuestState = .shutOff
    @Option(help: ArgumentHelp("How long is waited; without it as long as it takes.", valueName: "seconds"))
    var timeout: Double?

    func validate() throws { try timeout.map { try checkSeconds($0, of: "--timeout") } }

    func run() async throws {
        try await argument.withContainer { try await $0.wait(for: state, within: timeout.map { .seconds($0) }) }
        try argument.report(state.rawValue)
    }
}

struct ContainerEvents: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Prints what happens to containers, until it is interrupted.",
        discussion:
            "With --json every event is one line. The restart of libvirtd is outlived: what happened meanwhile is "
            + "printed then.")

    @Option(name: .customLong("for"), help: ArgumentHelp("End after this time.", valueName: "seconds"))
    var duration: Double?
    @OptionGroup var host: HostOptions
    @OptionGroup var common: CommonOptions

    private struct Line: Encodable {
        var time: Date
        var container: GuestName
        var event: GuestEvent.Kind
    }

    func validate() throws { try duration.map { try checkSeconds($0, of: "--for") } }

    func run() async throws {
        let connection = try await LXCHypervisor.Connection.open(
            host.connection(common.settings()), logger: common.logger())
        do {
            try await print(connection.driver.events())
            await connection.close()
        } catch {
            await connection.close()
            throw error
        }
    }

    private func print(_ events: AsyncThrowingStream<GuestEvent, any Error>) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for try await event in events { try print(event) }
                try Task.checkCancellation()
            }
            if let duration { group.addTask { try await Task.sleep(for: .seconds(duration)) } }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func print(_ event: GuestEvent) throws {
        let line = Line(time: Date(), container: event.guest, event: event.kind)
        if common.json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            encoder.dateEncodingStrategy = .iso8601
            lxcctl.print(String(decoding: try encoder.encode(line), as: UTF8.self))
        } else {
            lxcctl.print("\(line.time.ISO8601Format())  \(line.container)  \(line.event.rawValue)")
        }
        // Each line is written immediately, also to a pipe.
        try Output.flush()
    }
}
