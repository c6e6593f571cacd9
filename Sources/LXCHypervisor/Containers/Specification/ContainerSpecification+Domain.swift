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
        domain.memoryTuning = MemoryTuning(softLimit: softMemory, swapHardLimit: memoryAndSwap)
        // libvirt sets memory and swap together only where it sets the memory by the same element.
        if memoryAndSwap != nil { domain.memoryTuning.hardLimit = memory }
        domain.blockIOTuning = BlockIOTuning(weight: blockIOWeight, devices: blockIODevices.map(\.tuning))
        domain.virtualCPUs = VirtualCPUs(count: cpu.count, cpuSet: cpu.set)
        domain.cpuTuning = CPUTuning(
            shares: cpu.shares, period: cpu.period, quota: cpu.quota)
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
        metadata.processes = processes
        return metadata
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
        guard memory >= .mebibytes(1) else {
            throw LXCError(.invalidArgument, "\(name) needs at least 1 MiB of memory")
        }
        guard (1...65_535).contains(cpu.count) else {
            throw LXCError(.invalidArgument, "\(name) needs 1 to 65535 processors")
        }
        try GuestLimits(
            memory: memory, softMemory: softMemory, memoryAndSwap: memoryAndSwap,
            cpuShares: cpu.shares.map(UInt64.init),
            cpuPeriod: cpu.period, cpuQuota: cpu.quota, cpuSet: cpu.set, blockIOWeight: blockIOWeight,
            processes: processes, devices: blockIODevices
        ).check()
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
        tuning.readBytesPerSecond = readBytesPerSecond
        tuning.writeBytesPerSecond = writeBytesPerSecond
        tuning.readOperationsPerSecond = readOperationsPerSecond
        tuning.writeOperationsPerSecond = writeOperationsPerSecond
        return tuning
    }
}
