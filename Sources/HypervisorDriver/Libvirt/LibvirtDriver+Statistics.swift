// SPDX-License-Identifier: Apache-2.0

public import LXCCore
import Libvirt
import LibvirtXML
import LinuxSystem

/// Resource usage. libvirt's LXC driver has no call for several containers and none for the kernel's control group
/// counters, so on this host these are read from the groups themselves; for a container on another host there is
/// libvirt's data.
extension LibvirtDriver {
    /// Reads the domain's counters.
    public func statistics(of guest: GuestName) async throws -> GuestStatistics {
        let found = try await self.guest(guest)
        guard found.state.isActive, let statistics = try await read(found, nil) else {
            throw LXCError(.invalidState, "\(guest) is not running, so it has no statistics")
        }
        return statistics
    }

    /// Reads the counters of all running domains, several at a time.
    public func statistics() async throws -> [GuestName: GuestStatistics] {
        let running = try await guests().filter(\.state.isActive)
        let mounts = core.hasProcessesHere ? try ControlGroupMounts.current() : nil
        return try await withThrowingTaskGroup(of: (GuestName, GuestStatistics?).self) { group in
            var waiting = running[...]
            // At most as many at a time as the connection has threads.
            for guest in waiting.prefix(5) { group.addTask { (guest.name, try await read(guest, mounts)) } }
            waiting = waiting.dropFirst(5)
            var all: [GuestName: GuestStatistics] = [:]
            while let (name, statistics) = try await group.next() {
                all[name] = statistics
                if let guest = waiting.popFirst() {
                    group.addTask { (guest.name, try await read(guest, mounts)) }
                }
            }
            return all
        }
    }

    /// Nil for a guest that has just ended.
    private func read(_ guest: Guest, _ mounts: ControlGroupMounts?) async throws -> GuestStatistics? {
        do {
            let name = guest.name.description
            let info = try await connection.info(of: name)
            guard GuestState(info.state).isActive else { return nil }
            var statistics = GuestStatistics(
                cpuTime: .nanoseconds(info.cpuTime), virtualCPUs: info.virtualCPUs, memoryUsed: info.memory,
                memoryLimit: info.maximumMemory)
            let domain = try await definition(of: guest.name)
            if core.hasProcessesHere, let id = guest.id {
                let process = guest.initProcess
                let known = statistics
                statistics = try await BlockingPool.shared.run { _ in
                    var statistics = known
                    let mounts = try mounts ?? .current()
                    mounts.group(of: id)?.read(into: &statistics)
                    statistics.processLimit = ProcessLimitGroup(of: id, mounts)?.limit
                    statistics.interfaces = NetworkCounters.read(domain.interfaces, of: process)
                    return statistics
                }
            } else {
                statistics.interfaces = try await interfaces(of: domain)
            }
            return statistics
        } catch let error as LXCError where [.notFound, .invalidState].contains(error.code) {
            return nil
        }
    }

    private func interfaces(of domain: Domain) async throws -> [GuestStatistics.Interface] {
        var interfaces: [GuestStatistics.Interface] = []
        for case let device? in domain.interfaces.map(\.targetDevice) {
            let counters = try await connection.interfaceStatistics(of: domain.name, device: device)
            interfaces.append(
                .init(
                    device: device, receivedBytes: ByteCount(counters.receivedBytes),
                    receivedPackets: counters.receivedPackets, sentBytes: ByteCount(counters.sentBytes),
                    sentPackets: counters.sentPackets))
        }
        return interfaces
    }
}

extension ControlGroup {
    /// Adds the counters of the groups.
    func read(into statistics: inout GuestStatistics) {
        statistics.monotonicTime = .nanoseconds(MonotonicClock.now())
        statistics.cpuTime = cpuNanoseconds.map { .nanoseconds($0) } ?? statistics.cpuTime
        readMemory(into: &statistics)
        statistics.blockIO = blockIO
        statistics.processes = processes
    }
}

/// The traffic of a container's interfaces, from the guest's point of view.
private enum NetworkCounters {
    /// A cable's end on the host counts the other way round. A device that moved into the container is found there, by
    /// the table of its process 1.
    static func read(_ interfaces: [Interface], of process: Int32?) -> [GuestStatistics.Interface] {
        interfaces.enumerated().compactMap { index, interface in
            if let device = interface.targetDevice, let counters = hostEnd(device) { return counters }
            return process.flatMap { inside("\(interface.guestDevice ?? "eth\(index)")", of: $0) }
        }
    }

    private static func hostEnd(_ device: String) -> GuestStatistics.Interface? {
        guard !device.contains("/") else { return nil }
        let counter = { (name: String) in ControlGroup.number("/sys/class/net/\(device)/statistics/\(name)") }
        guard let received = counter("tx_bytes"), let receivedPackets = counter("tx_packets"),
            let sent = counter("rx_bytes"), let sentPackets = counter("rx_packets")
        else { return nil }
        return .init(
            device: device, receivedBytes: ByteCount(received), receivedPackets: receivedPackets,
            sentBytes: ByteCount(sent), sentPackets: sentPackets)
    }

    private static func inside(_ device: String, of process: Int32) -> GuestStatistics.Interface? {
        guard let table = ControlGroup.read("/proc/\(process)/net/dev") else { return nil }
        for line in table.split(separator: "\n") {
            let parts = line.split(separator: ":")
            guard parts.count == 2, parts[0].drop(while: { $0 == " " }) == device else { continue }
            let numbers = parts[1].split(separator: " ").map { UInt64($0) ?? 0 }
            guard numbers.count > 9 else { return nil }
            return .init(
                device: device, receivedBytes: ByteCount(numbers[0]), receivedPackets: numbers[1],
                sentBytes: ByteCount(numbers[8]), sentPackets: numbers[9])
        }
        return nil
    }
}
