// SPDX-License-Identifier: Apache-2.0

/// Features of a virtual machine or a container: libvirt's `<features>`.
public struct Features: Hashable, Sendable {
    /// The Linux capabilities of a container.
    public struct Capabilities: Hashable, Sendable {
        /// The initial set of a container's capabilities.
        public enum Policy: String, Hashable, Sendable, Codable, CaseIterable {
            /// libvirt's own choice: all but a few that would reach the host.
            case `default`
            /// All of them.
            case allow
            /// No capability.
            case deny
        }

        /// The initial set of capabilities.
        public var policy: Policy
        /// The capabilities switched on (true) and off (false) against the policy.
        public var changes: [Capability: Bool]

        /// Creates a policy with changes to it.
        public init(policy: Policy, changes: [Capability: Bool] = [:]) {
            self.policy = policy
            self.changes = changes
        }
    }

    /// Whether a virtual machine has ACPI, which a clean power-off needs.
    public var acpi: Bool
    /// Whether a virtual machine has programmable interrupt controllers.
    public var apic: Bool
    /// Whether a virtual machine has the physical address extension.
    public var pae: Bool
    /// Whether a container has a network of its own even when it has no interface.
    public var privateNetwork: Bool
    /// The Linux capabilities of a container; nil leaves them to libvirt.
    public var capabilities: Capabilities?

    /// The features given, no others.
    public init(
        acpi: Bool = false, apic: Bool = false, pae: Bool = false, privateNetwork: Bool = false,
        capabilities: Capabilities? = nil
    ) {
        self.acpi = acpi
        self.apic = apic
        self.pae = pae
        self.privateNetwork = privateNetwork
        self.capabilities = capabilities
    }
}

/// A capability of Linux under libvirt's name for it: capabilities(7) in lower case, without `CAP_`.
public enum Capability: String, Hashable, Sendable, Codable, CaseIterable {
    /// `CAP_AUDIT_CONTROL`.
    case auditControl = "audit_control"
    /// `CAP_AUDIT_WRITE`.
    case auditWrite = "audit_write"
    /// `CAP_BLOCK_SUSPEND`.
    case blockSuspend = "block_suspend"
    /// `CAP_CHOWN`.
    case chown
    /// `CAP_DAC_OVERRIDE`.
    case dacOverride = "dac_override"
    /// `CAP_DAC_READ_SEARCH`.
    case dacReadSearch = "dac_read_search"
    /// `CAP_FOWNER`.
    case fowner
    /// `CAP_FSETID`.
    case fsetid
    /// `CAP_IPC_LOCK`.
    case ipcLock = "ipc_lock"
    /// `CAP_IPC_OWNER`.
    case ipcOwner = "ipc_owner"
    /// `CAP_KILL`.
    case kill
    /// `CAP_LEASE`.
    case lease
    /// `CAP_LINUX_IMMUTABLE`.
    case linuxImmutable = "linux_immutable"
    /// `CAP_MAC_ADMIN`.
    case macAdmin = "mac_admin"
    /// `CAP_MAC_OVERRIDE`.
    case macOverride = "mac_override"
    /// `CAP_MKNOD`.
    case mknod
    /// `CAP_NET_ADMIN`.
    case netAdmin = "net_admin"
    /// `CAP_NET_BIND_SERVICE`.
    case netBindService = "net_bind_service"
    /// `CAP_NET_BROADCAST`.
    case netBroadcast = "net_broadcast"
    /// `CAP_NET_RAW`.
    case netRaw = "net_raw"
    /// `CAP_SETGID`.
    case setgid
    /// `CAP_SETFCAP`.
    case setfcap
    /// `CAP_SETPCAP`.
    case setpcap
    /// `CAP_SETUID`.
    case setuid
    /// `CAP_SYS_ADMIN`.
    case sysAdmin = "sys_admin"
    /// `CAP_SYS_BOOT`.
    case sysBoot = "sys_boot"
    /// `CAP_SYS_CHROOT`.
    case sysChroot = "sys_chroot"
    /// `CAP_SYS_MODULE`.
    case sysModule = "sys_module"
    /// `CAP_SYS_NICE`.
    case sysNice = "sys_nice"
    /// `CAP_SYS_PACCT`.
    case sysPacct = "sys_pacct"
    /// `CAP_SYS_PTRACE`.
    case sysPtrace = "sys_ptrace"
    /// `CAP_SYS_RAWIO`.
    case sysRawIO = "sys_rawio"
    /// `CAP_SYS_RESOURCE`.
    case sysResource = "sys_resource"
    /// `CAP_SYS_TIME`.
    case sysTime = "sys_time"
    /// `CAP_SYS_TTY_CONFIG`.
    case sysTTYConfig = "sys_tty_config"
    /// `CAP_SYSLOG`.
    case syslog
    /// `CAP_WAKE_ALARM`.
    case wakeAlarm = "wake_alarm"
}
