import DomainXML
import LXCCore

/// Makes the domain document of a container: the specification's elements, and what keeps it confined.
enum DomainBuilder {
    /// The document of a container whose root volume is in `root` on this host.
    ///
    /// - Throws: ``LXCError`` `invalidArgument` naming the value that breaks a rule.
    static func domain(
        _ specification: ContainerSpecification, root: String, interfaces: [Interface], metadata: ContainerMetadata
    ) throws -> Domain {
        try check(specification)
        let initializer = specification.initializer
        var os = OperatingSystem.container(
            initPath: initializer.path, arguments: initializer.arguments, architecture: architecture)
        os.initEnvironment = initializer.environment.sorted { $0.key < $1.key }.map { .init($0.key, $0.value) }

        var domain = Domain(type: .lxc, name: specification.name.description, os: os)
        domain.uuid = specification.uuid
        domain.title = specification.title
        domain.idMap = specification.idMap
        domain.memory = specification.memory
        domain.currentMemory = specification.memory
        domain.virtualCPUs = VirtualCPUs(count: specification.cpu.count)
        domain.cpuTuning = CPUTuning(
            shares: specification.cpu.shares, period: specification.cpu.period, quota: specification.cpu.quota)
        // Without it libvirt leaves a container that has no interface in the host's own network namespace.
        domain.features.privateNetwork = true
        domain.clock = .utc
        domain.onPowerOff = .destroy
        domain.onReboot = .restart
        domain.onCrash = .destroy
        domain.filesystems = [Filesystem(.mount(root), target: "/")]
        domain.interfaces = interfaces
        domain.consoles = [CharacterDevice(targetType: "lxc", port: 0)]
        domain.containerMetadata = metadata
        return domain
    }

    private static func check(_ specification: ContainerSpecification) throws {
        guard specification.initializer.path.hasPrefix("/") else {
            throw LXCError(
                .invalidArgument,
                "the init \"\(specification.initializer.path.escapedForDisplay)\" of \(specification.name) is not an "
                    + "absolute path")
        }
        guard specification.memory >= .mebibytes(1) else {
            throw LXCError(.invalidArgument, "\(specification.name) needs at least 1 MiB of memory")
        }
        guard (1...65_535).contains(specification.cpu.count) else {
            throw LXCError(.invalidArgument, "\(specification.name) needs 1 to 65535 processors")
        }
        let ids = specification.nics.map(\.deviceID)
        guard Set(ids).count == ids.count else {
            throw LXCError(.invalidArgument, "two network interfaces of \(specification.name) have the same device id")
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
