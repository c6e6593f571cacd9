// SPDX-License-Identifier: Apache-2.0

/// This host's control groups according to `/proc/self/mountinfo`.
package struct PrivateLibvirtdCgroups: Hashable, Sendable {
    /// Mount points of a version 2 hierarchy beside version 1 controllers. libvirt mistakes such a mount for one it can
    /// place containers in, and fails every start: a private daemon must not see it.
    package private(set) var hidden: [String] = []
    /// Mount points of the hierarchies where containers are placed.
    package private(set) var used: [String] = []

    /// Reads the lines of proc_pid_mountinfo(5).
    package init(mountinfo: String) {
        var unified: [String] = []
        var hasControllers = false
        for line in mountinfo.split(separator: "\n") {
            guard let separator = line.firstRange(of: " - ") else { continue }
            let mount = line[..<separator.lowerBound].split(separator: " ")
            let kind = line[separator.upperBound...].split(separator: " ")
            // A root other than `/` is a bind mount of a part, where paths of /proc/<pid>/cgroup do not fit.
            guard mount.count >= 5, kind.count >= 3, mount[3] == "/" else { continue }
            let path = Self.unescape(mount[4])
            if kind[0] == "cgroup2" {
                unified.append(path)
            } else if kind[0] == "cgroup" {
                used.append(path)
                // `name=systemd` is a version 1 hierarchy without a controller.
                if !kind[2].split(separator: ",").contains(where: { $0.hasPrefix("name=") }) { hasControllers = true }
            }
        }
        if hasControllers { hidden = unified } else { used += unified }
    }

    /// The kernel writes space, tab, newline and backslash of a path as `\` and three octal digits.
    private static func unescape(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
