// SPDX-License-Identifier: Apache-2.0

import Glibc
public import LXCCore
import LinuxSystem
import OpenSSL

extension LXCHypervisor {
    /// Facts about a host, from its kernel.
    public struct HostFacts: Hashable, Sendable, Codable {
        /// How the kernel's control groups are mounted.
        public enum ControlGroups: String, Hashable, Sendable, Codable {
            /// Version 1 controllers only.
            case v1
            /// Version 2 only.
            case v2
            /// Version 1 controllers together with a version 2 tree.
            case hybrid
            /// None.
            case none
        }

        /// The kernel's host name.
        public var hostName: String
        /// The kernel's release.
        public var kernel: String
        /// The machine's architecture, such as `x86_64`.
        public var architecture: String
        /// The number of online processors.
        public var cpus: Int
        /// The total memory.
        public var memory: ByteCount
        /// How control groups are mounted.
        public var controlGroups: ControlGroups

        /// Reads the current facts.
        public static func current() -> HostFacts {
            var names = utsname()
            uname(&names)
            return HostFacts(
                hostName: text(of: names.nodename), kernel: text(of: names.release),
                architecture: text(of: names.machine),
                cpus: Processors.online,
                memory: ByteCount(UInt64(sysconf(CInt(_SC_PHYS_PAGES))) * UInt64(sysconf(CInt(_SC_PAGESIZE)))),
                controlGroups: controlGroups())
        }

        /// The default name that distinguishes this host from others in leases, used if the embedder sets none: the
        /// kernel's host name, which two hosts may share, followed by eight digits derived from the machine id
        /// (machine-id(5)), which is not disclosed itself.
        public static func leaseHolder() -> String {
            let name = current().hostName
            for path in ["/etc/machine-id", "/var/lib/dbus/machine-id"] {
                guard let bytes = try? DurableFile.read(path, limit: 64) else { continue }
                let id = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
                guard id.count == 32, id.allSatisfy(\.isHexDigit) else { continue }
                let digest = MessageDigest.hash(data: Array("lxc-hypervisor leases \(id)".utf8), with: .sha256)
                return "\(name).\(digest.prefix(4).hexadecimal)"
            }
            return name
        }

        private static func text(of field: some Any) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }

        /// The types of the file systems mounted on and below /sys/fs/cgroup identify the layout (cgroups(7)).
        private static func controlGroups() -> ControlGroups {
            guard let mounts = try? DurableFile.read("/proc/self/mounts") else { return .none }
            var types: Set<Substring> = []
            for line in String(decoding: mounts, as: UTF8.self).split(separator: "\n") {
                let fields = line.split(separator: " ")
                guard fields.count > 2, "\(fields[1])/".hasPrefix("/sys/fs/cgroup/") else { continue }
                types.insert(fields[2])
            }
            switch (types.contains("cgroup"), types.contains("cgroup2")) {
            case (true, true): return .hybrid
            case (true, false): return .v1
            case (false, true): return .v2
            case (false, false): return .none
            }
        }
    }
}
