// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
public import LXCHypervisor

struct SetContainer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Changes a container's limits, while it runs and for later starts, and shows them.",
        discussion: "Without options the limits are only shown. Limits without an option stay unchanged.")

    @OptionGroup var argument: ContainerArgument
    @OptionGroup var limits: LimitOptions
    @Option(help: "Whether libvirt starts it when it starts itself.")
    var autostart: Switch?
    @Option(help: "What happens when it ends without having been stopped, while a program watches.")
    var restart: ContainerMetadata.RestartPolicy?

    enum Switch: String, ExpressibleByArgument, CaseIterable { case on, off }

    private struct Report: Encodable {
        var limits: GuestLimits
        var autostart: Bool
    }

    func run() async throws {
        let change = try limits.change()
        let report = try await argument.withContainer { container in
            if let change { try await container.setLimits(change) }
            if let autostart { try await container.setAutostart(autostart == .on) }
            if let restart { try await container.setRestart(restart) }
            return try await Report(limits: container.limits(), autostart: container.isAutostarted())
        }
        if argument.common.json { return try Output.json(report) }
        let limits = report.limits
        Output.facts(
            [
                ("memory", limits.memory?.description ?? "unlimited"), ("soft memory", limits.softMemory?.description),
                ("memory and swap", limits.memoryAndSwap?.description),
                ("cpu shares", limits.cpuShares.map(String.init)),
                (
                    "cpu quota",
                    limits.cpuQuota.map {
                        "\(microseconds($0)) of \(microseconds(limits.cpuPeriod ?? .milliseconds(100))) µs"
                    }
                ),
                ("cpu set", limits.cpuSet?.description), ("processes", limits.processes?.description ?? "unlimited"),
                ("disk weight", limits.blockIOWeight.map(String.init)),
                ("autostart", report.autostart ? "on" : "off"),
            ] + limits.devices.map { ($0.path, text(of: $0)) })
    }

    private func microseconds(_ time: Duration) -> Int64 { Int64(time / .microseconds(1)) }

    private func text(of device: GuestLimits.Device) -> String {
        [
            device.readBytesPerSecond.map { "reads \($0)/s" },
            device.writeBytesPerSecond.map { "writes \($0)/s" },
            device.readOperationsPerSecond.map { "\($0) reads/s" },
            device.writeOperationsPerSecond.map { "\($0) writes/s" },
        ].compactMap(\.self).joined(separator: ", ")
    }
}

extension ContainerMetadata.RestartPolicy: @retroactive ExpressibleByArgument {}

/// Limits in options.
struct LimitOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The most memory, such as 1GiB.", valueName: "size"))
    var memory: String?
    @Option(help: ArgumentHelp("What it is pressed back to when the host runs short.", valueName: "size"))
    var softMemory: String?
    @Option(help: ArgumentHelp("The most memory and swap together.", valueName: "size"))
    var memoryAndSwap: String?
    @Option(help: ArgumentHelp("The weight against other containers.", valueName: "n"))
    var cpuShares: UInt64?
    @Option(help: ArgumentHelp("The accounting period.", valueName: "microseconds"))
    var cpuPeriod: UInt64?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Processor time in each period; -1 for no limit.", valueName: "microseconds"))
    var cpuQuota: Int64?
    @Option(help: ArgumentHelp("The host's processors it may run on, such as 0-3,8.", valueName: "list"))
    var cpuSet: String?
    @Option(help: ArgumentHelp("The most processes and threads; 0 for no limit.", valueName: "n"))
    var processes: UInt64?
    @Option(help: ArgumentHelp("The weight where disks are shared, 100 to 1000.", valueName: "n"))
    var diskWeight: UInt32?
    @Option(help: ArgumentHelp("Bytes read in a second; may be repeated; 0 removes it.", valueName: "device=size"))
    var diskRead: [String] = []
    @Option(help: ArgumentHelp("Bytes written in a second; may be repeated; 0 removes it.", valueName: "device=size"))
    var diskWrite: [String] = []

    /// What is to change; nil when no option was given.
    func change() throws -> GuestLimits.Change? {
        var change = GuestLimits.Change(
            memory: try memory.map { try ByteCount(parsing: $0) },
            softMemory: try softMemory.map { try ByteCount(parsing: $0) },
            memoryAndSwap: try memoryAndSwap.map { try ByteCount(parsing: $0) }, cpuShares: cpuShares,
            cpuPeriod: cpuPeriod.map { .microseconds($0) },
            cpuQuota: cpuQuota.map { $0 < 0 ? .unlimited : .limit(.microseconds($0)) },
            cpuSet: try cpuSet.map { try CPUSet(parsing: $0) }, blockIOWeight: diskWeight,
            processes: processes.map { $0 == 0 ? .unlimited : .limit($0) })
        var devices: [String: GuestLimits.Change.Device] = [:]
        for (path, size) in try diskRead.map({ try rate($0, "--disk-read") }) {
            devices[path, default: .init(path: path)].readBytesPerSecond = size
        }
        for (path, size) in try diskWrite.map({ try rate($0, "--disk-write") }) {
            devices[path, default: .init(path: path)].writeBytesPerSecond = size
        }
        change.devices = devices.values.sorted { $0.path < $1.path }
        return change.isEmpty ? nil : change
    }

    private func rate(_ text: String, _ option: String) throws -> (String, GuestLimits.Change.Setting<ByteCount>) {
        guard let split = text.lastIndex(of: "="), split > text.startIndex else {
            throw LXCError(.invalidArgument, "\(option) takes DEVICE=SIZE, not \"\(text.escapedForDisplay)\"")
        }
        let size = try ByteCount(parsing: String(text[text.index(after: split)...]))
        return (String(text[..<split]), size.bytes == 0 ? .unlimited : .limit(size))
    }
}
