// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCCore
import LinuxSystem

/// Groups of containers that have ended: libvirt removes those of the controllers it knows, and not always.
extension ControlGroupMounts {
    /// The number of checks for the end of a container's controller process.
    private static let patience = 10

    /// Removes the groups of containers whose controller process is gone. A group with a process in it stays.
    ///
    /// - Parameter guest: a container that has ended, whose controller process may be about to end.
    func removeLeftovers(of guest: GuestName) {
        for attempt in 0..<Self.patience {
            var remains = false
            for machines in directories(of: "/machine") {
                for name in (try? DurableFile.list(machines)) ?? [] {
                    guard let owner = Owner(name) else { continue }
                    guard ControllerProcess.isGone(owner.controller) else {
                        // It can also be of another daemon's container of the same name.
                        if owner.isCalled(guest) { remains = true }
                        continue
                    }
                    // The inner ones first.
                    let group = "\(machines)/\(name)"
                    for directory in ControlGroup.directories(below: group).reversed() { rmdir(directory) }
                }
            }
            guard remains, attempt < Self.patience - 1 else { return }
            usleep(50_000)
        }
    }

    /// The owner of a group according to its name, which libvirt forms as `lxc-<controller>-<name>.libvirt-lxc`.
    private struct Owner {
        private static let suffix = ".libvirt-lxc"
        /// Longer names are cut off at this length.
        private static let longest = 20

        let controller: pid_t
        private let name: Substring

        init?(_ group: String) {
            let parts = group.split(separator: "-", maxSplits: 2)
            guard parts.count == 3, parts[0] == "lxc", parts[2].hasSuffix(Self.suffix),
                let controller = pid_t(parts[1]), controller > 0
            else { return nil }
            self.controller = controller
            name = parts[2].dropLast(Self.suffix.count)
        }

        func isCalled(_ guest: GuestName) -> Bool { name == guest.description.prefix(Self.longest) }
    }
}

/// The libvirt process that identifies a container's run. Daemons of one host do not share the names of their
/// containers, so the remains of a run are identified by this process and never by the container's name alone.
enum ControllerProcess {
    /// Whether the process does not exist, is a zombie, or runs another program.
    static func isGone(_ number: pid_t) -> Bool {
        guard let stat = ControlGroup.read("/proc/\(number)/stat"), let end = stat.lastIndex(of: ")") else {
            return kill(number, 0) != 0 && errno == ESRCH
        }
        return !stat.contains("(libvirt_lxc)") || stat[stat.index(after: end)...].hasPrefix(" Z")
    }
}
