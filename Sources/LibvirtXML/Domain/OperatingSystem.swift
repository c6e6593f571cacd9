// SPDX-License-Identifier: Apache-2.0

/// The program of a guest, and the way it is started: libvirt's `<os>`.
public struct OperatingSystem: Hashable, Sendable {
    /// The type of program the guest runs.
    public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
        /// A program of the container's root file system.
        case executable = "exe"
        /// A whole system on virtual hardware.
        case machine = "hvm"
    }

    /// A device a virtual machine can boot from.
    public enum BootDevice: String, Hashable, Sendable, Codable, CaseIterable {
        /// The first hard disk.
        case hardDisk = "hd"
        /// The first CD-ROM drive.
        case cdrom
        /// The first floppy drive.
        case floppy = "fd"
        /// The network.
        case network
    }

    /// A variable of a container's initial environment.
    public struct EnvironmentVariable: Hashable, Sendable, Codable {
        /// The name: a letter or underscore, then letters, digits and underscores.
        public var name: String
        /// The value. It cannot be empty or hold a carriage return, `<`, `&` or `]]>`: libvirt does not escape it when it
        /// writes its own documents.
        public var value: String

        /// Creates an environment variable.
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// The type of program the guest runs; nil for a type unknown to this model.
    public var kind: Kind?
    /// The processor architecture, such as `x86_64`; nil leaves it to libvirt.
    public var architecture: String?
    /// The machine type of a virtual machine, such as `pc` or `q35`.
    public var machine: String?
    /// The path of a container's first program.
    public var initPath: String?
    /// The arguments of a container's first program, without its own name. They must not be empty or contain a carriage
    /// return: libvirt would alter them.
    public var initArguments: [String] = []
    /// The environment of a container's first program.
    public var initEnvironment: [EnvironmentVariable] = []
    /// The directory a container's first program starts in.
    public var initDirectory: String?
    /// The user a container's first program runs as, by name or number; needs ``initGroup`` beside it.
    public var initUser: String?
    /// The group a container's first program runs as, by name or number; needs ``initUser`` beside it.
    public var initGroup: String?
    /// The path, on the host, of a kernel to boot directly.
    public var kernel: String?
    /// The path, on the host, of the initial RAM disk for ``kernel``.
    public var initialRAMDisk: String?
    /// The command line of ``kernel``.
    public var kernelCommandLine: String?
    /// The devices to boot from, the first choice first.
    public var bootDevices: [BootDevice] = []

    /// An operating system of the given kind.
    public init(kind: Kind?, architecture: String? = nil, machine: String? = nil) {
        self.kind = kind
        self.architecture = architecture
        self.machine = machine
    }

    /// A container's: `initPath` is run with the given arguments.
    public static func container(
        initPath: String, arguments: [String] = [], architecture: String? = nil
    ) -> Self {
        var os = Self(kind: .executable, architecture: architecture)
        os.initPath = initPath
        os.initArguments = arguments
        return os
    }

    /// A virtual machine's, booted from the given devices.
    public static func machine(
        architecture: String? = nil, machine: String? = nil, bootDevices: [BootDevice] = [.hardDisk]
    ) -> Self {
        var os = Self(kind: .machine, architecture: architecture, machine: machine)
        os.bootDevices = bootDevices
        return os
    }
}
