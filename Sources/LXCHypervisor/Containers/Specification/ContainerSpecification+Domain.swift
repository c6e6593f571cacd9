// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
public import LXCCore
public import LibvirtXML

extension LXCHypervisor.ContainerSpecification {
    /// The domain document of the container: the specification's elements, and what keeps it confined.
    ///
    /// - Parameters:
    ///   - root: the directory on the host in which its root volume is, or will be.
    ///   - interfaces: what network drivers made of its NICs.
    ///   - pool: the primary store, kept in the document's metadata; nil keeps none.
    /// - Returns: the document.
    /// - Throws: `LXCError` `invalidArgument` naming the value that breaks a rule.
    public func domain(root: String, interfaces: [Interface] = [], pool: PoolID? = nil) throws -> Domain {
        let memory = try checkedMemory()
        try check()
        var os = OperatingSystem.container(
            initPath: initProcess.path, arguments: initProcess.arguments, architecture: Self.architecture)
        os.initEnvironment = initProcess.environment.sorted { $0.key < $1.key }.map { .init($0.key, $0.value) }

        var domain = Domain(type: .lxc, name: name.description, os: os)
        domain.uuid = uuid
        domain.title = title
        domain.idMap = idMap
        domain.memory = memory
        domain.currentMemory = memory
        domain.memoryTuning = MemoryTuning(softLimit: limits.softMemory, swapHardLimit: limits.memoryAndSwap)
        // libvirt sets memory and swap together only where it sets the memory by the same element.
        if limits.memoryAndSwap != nil { domain.memoryTuning.hardLimit = memory }
        domain.blockIOTuning = BlockIOTuning(weight: limits.blockIOWeight, devices: limits.devices.map(\.tuning))
        domain.virtualCPUs = VirtualCPUs(count: cpus, cpuSet: limits.cpuSet?.description)
        domain.cpuTuning = CPUTuning(
            shares: limits.cpuShares.map { UInt32(clamping: $0) }, period: limits.cpuPeriod?.wholeMicroseconds,
            quota: limits.cpuQuota.map { Int64(clamping: $0.wholeMicroseconds) })
        // Without it libvirt leaves a container that has no interface in the host's own network namespace.
        domain.features.privateNetwork = true
        domain.clock = .utc
        domain.onPowerOff = .destroy
        domain.onReboot = .restart
        domain.onCrash = .destroy
        domain.filesystems = [Filesystem(.mount(root), target: "/")]
        domain.interfaces = interfaces
        domain.consoles = [CharacterDevice(targetType: "lxc", port: 0)]
        try domain.setContainerMetadata(pool.map(metadata))
        return domain
    }

    private func metadata(in pool: PoolID) -> ContainerMetadata {
        var metadata = ContainerMetadata(
            pool: pool, volume: volume, template: template, owner: owner,
            networks: nics.sorted { $0.deviceID < $1.deviceID }.map(\.network))
        metadata.stopSignal = stopSignal?.description
        metadata.restart = restart
        metadata.consoleLog = consoleLog
        metadata.processes = limits.processes ?? 0
        return metadata
    }

    private func checkedMemory() throws -> ByteCount {
        guard let memory = limits.memory, memory >= .mebibytes(1) else {
            throw LXCError(.invalidArgument, "\(name) needs a limit of memory of at least 1 MiB")
        }
        return memory
    }

    private func check() throws {
        try identity?.check()
        if case .unprivileged(let map) = privilege, map.hasHostRoot {
            throw LXCError(
                .invalidArgument,
                "the id map of \(name) gives it the host's own root, which only a privileged container has; map to other "
                    + "ids, or make it privileged")
        }
        guard initProcess.path.hasPrefix("/") else {
            throw LXCError(
                .invalidArgument,
                "the init \"\(initProcess.path.escapedForDisplay)\" of \(name) is not an "
                    + "absolute path")
        }
        if let consoleLog, consoleLog < BoundedLog.leastLimit {
            throw LXCError(.invalidArgument, "the console log of \(name) needs at least \(BoundedLog.leastLimit)")
        }
        guard (1...65_535).contains(cpus) else {
            throw LXCError(.invalidArgument, "\(name) needs 1 to 65535 processors")
        }
        try limits.check()
        let ids = nics.map(\.deviceID)
        guard Set(ids).count == ids.count else {
            throw LXCError(.invalidArgument, "two network interfaces of \(name) have the same device id")
        }
    }

    private static var architecture: String? {
        #if arch(x86_64)
        "x86_64"
        #elseif arch(arm64)
        "aarch64"
        #else
        nil
        #endif
    }
}

extension GuestLimits.Device {
    /// The element of the domain document.
    fileprivate var tuning: BlockIOTuning.Device {
        var tuning = BlockIOTuning.Device(path: path)
        tuning.readBytesPerSecond = readBytesPerSecond?.bytes
        tuning.writeBytesPerSecond = writeBytesPerSecond?.bytes
        tuning.readOperationsPerSecond = readOperationsPerSecond
        tuning.writeOperationsPerSecond = writeOperationsPerSecond
        return tuning
    }
}
