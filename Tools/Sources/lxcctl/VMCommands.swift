// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import LXCCore
import LXCHypervisor
import OperatorSupport

struct VMCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vm", abstract: "System VMs: virtual machines beside the containers.",
        subcommands: [
            CreateVM.self, StartVM.self, StopVM.self, RebootVM.self, DestroyVM.self, ListVMs.self, ShowVM.self,
            VMConsole.self,
        ])
}

/// The common options of the commands for one machine or several.
struct VMOptions: ParsableArguments {
    @OptionGroup var host: HostOptions
    @OptionGroup var primary: PrimaryOptions
    @OptionGroup var common: CommonOptions

    func withHost<Value>(_ body: (LXCHypervisor) async throws -> Value) async throws -> Value {
        try await host.withHost(common, primary: primary, body)
    }

    /// The specification with the pool of `--pool`, where that is given.
    func placed(
        _ specification: LXCHypervisor.SystemVMSpecification, in host: LXCHypervisor
    ) throws -> LXCHypervisor.SystemVMSpecification {
        var specification = specification
        specification.pool = try primary.poolID(in: host, common) ?? specification.pool
        return specification
    }
}

/// Names one machine that is there.
struct VMArgument: ParsableArguments {
    @Argument(help: "The machine's name.")
    var name: String
    @OptionGroup var options: VMOptions

    func withVM<Value>(_ body: (LXCHypervisor.SystemVM) async throws -> Value) async throws -> Value {
        guard let value = try await withVMIfAny(body) else {
            throw LXCError(.notFound, "there is no system VM \(name); `lxcctl vm list` shows those there are")
        }
        return value
    }

    /// Runs `body` with the machine; nil if there is none of the name.
    func withVMIfAny<Value>(_ body: (LXCHypervisor.SystemVM) async throws -> Value) async throws -> Value? {
        let name = try GuestName(name)
        return try await options.withHost { host in
            let machine: LXCHypervisor.SystemVM
            do {
                machine = try await host.systemVM(name)
            } catch let error as LXCError where error.code == .notFound {
                return nil
            }
            return try await body(machine)
        }
    }

    /// The output of a successful command.
    func report(_ state: String) throws {
        if options.common.json { try Output.json(["vm": name, "state": state]) } else { print("\(name) \(state)") }
    }
}

struct CreateVM: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Makes a disk and defines a system VM, stopped.")

    @Argument(help: "A JSON file with the machine's specification.")
    var specification: String
    @OptionGroup var options: VMOptions

    func run() async throws {
        let specification: LXCHypervisor.SystemVMSpecification = try JSONFile.specification(specification)
        let report = try await options.withHost { host in
            try await VMReport(host.createSystemVM(options.placed(specification, in: host)))
        }
        if options.common.json { try Output.json(report) } else { print(report.guest.name) }
    }
}

struct StartVM: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Starts a system VM, created where it is missing, and gives it its boot arguments.",
        discussion:
            "Give either a JSON file with the specification, with a dot or a slash in its name, or the NAME of a machine "
            + "that is there. The command returns when the machine's agent has taken the boot arguments.")

    @Argument(
        help: ArgumentHelp("A JSON file with the machine's specification, or a machine's name.", valueName: "spec"))
    var subject: String
    @OptionGroup var options: VMOptions

    private var isFile: Bool { subject.contains("/") || subject.hasSuffix(".json") }

    func run() async throws {
        let report = try await options.withHost { host in
            guard isFile else {
                let machine = try await host.systemVM(GuestName(subject))
                try await machine.start()
                return try await VMReport(machine)
            }
            return try await VMReport(
                host.startSystemVM(options.placed(try JSONFile.specification(subject), in: host)))
        }
        if options.common.json { return try Output.json(report) }
        print("\(report.guest.name) \(report.guest.state.rawValue) (\(report.acceleration?.rawValue ?? "-"))")
    }
}

struct StopVM: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "Presses a system VM's power button, and turns it off when it does not end.")

    @OptionGroup var argument: VMArgument
    @Option(help: ArgumentHelp("How long it has to end by itself.", valueName: "seconds"))
    var timeout: Double = 30

    func validate() throws { try checkSeconds(timeout, of: "--timeout") }

    private struct Report: Encodable {
        var vm: String
        var state: String
        var outcome: LXCHypervisor.StopOutcome
    }

    func run() async throws {
        let outcome = try await argument.withVM { try await $0.stop(within: .seconds(timeout)) }
        if argument.options.common.json {
            return try Output.json(Report(vm: argument.name, state: "shutOff", outcome: outcome))
        }
        print("\(argument.name) shutOff (\(outcome.rawValue))")
    }
}

struct RebootVM: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reboot", abstract: "Stops a system VM as `stop` does, and starts it again.")

    @OptionGroup var argument: VMArgument
    @Option(help: ArgumentHelp("How long it has to end by itself.", valueName: "seconds"))
    var timeout: Double = 30

    func validate() throws { try checkSeconds(timeout, of: "--timeout") }

    func run() async throws {
        _ = try await argument.withVM { try await $0.reboot(within: .seconds(timeout)) }
        try argument.report("running")
    }
}

struct DestroyVM: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "destroy", abstract: "Turns a system VM off, forgets it and deletes its disk.")

    @OptionGroup var argument: VMArgument

    func run() async throws {
        // A missing machine counts as success.
        _ = try await argument.withVMIfAny { try await $0.delete() }
        try argument.report("destroyed")
    }
}

/// The report on a machine.
struct VMReport: Encodable {
    var guest: Guest
    var acceleration: LXCHypervisor.SystemVMSpecification.Acceleration?
    var template: TemplateID?
    var disk: VolumeID?
    var pool: PoolID?
    var memory: ByteCount?

    init(_ machine: LXCHypervisor.SystemVM) async throws {
        guest = try await machine.info()
        let document = try await machine.domain()
        let metadata = try document.containerMetadata()
        acceleration = LXCHypervisor.SystemVMSpecification.Acceleration(rawValue: document.type.rawValue)
        template = metadata?.template
        disk = metadata?.volume
        pool = metadata?.pool
        memory = document.memory
    }
}

struct ListVMs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists the system VMs.")

    @OptionGroup var host: HostOptions
    @OptionGroup var common: CommonOptions

    func run() async throws { try await host.listGuests(of: \.systemVMs, common) }
}

struct ShowVM: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Shows one system VM.")

    @OptionGroup var argument: VMArgument

    func run() async throws {
        let report = try await argument.withVM { try await VMReport($0) }
        if argument.options.common.json { return try Output.json(report) }
        Output.facts([
            ("name", report.guest.name.description), ("state", report.guest.state.rawValue),
            ("id", report.guest.id.map(String.init)), ("uuid", report.guest.uuid.uuidString.lowercased()),
            ("processors", report.acceleration?.rawValue), ("template", report.template?.description),
            ("disk", report.disk?.description), ("pool", report.pool?.description),
            ("memory", report.memory?.description),
        ])
    }
}

struct VMConsole: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "console", abstract: "Connects this terminal to a system VM's serial console.",
        discussion: "On a terminal Ctrl-] detaches. Ends with the machine.")

    @OptionGroup var argument: VMArgument
    @Option(name: .customLong("for"), help: ArgumentHelp("Detach after so many seconds.", valueName: "seconds"))
    var seconds: Double?

    func validate() throws {
        if let seconds { try checkSeconds(seconds, of: "--for") }
    }

    func run() async throws {
        try await argument.withVM { machine in
            guard try await machine.info().state.isActive else {
                throw LXCError(
                    .invalidState,
                    "system VM \(machine.name) does not run; `lxcctl vm start \(machine.name)` starts it")
            }
            try await machine.withConsole { try await ConsoleSession(name: machine.name, seconds: seconds).run($0) }
        }
    }
}
