// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import LXCCore
import LinuxSystem

/// The mounts of this host's control groups (cgroups(7)), and the lookup of a process's groups in them.
struct ControlGroupMounts: Sendable {
    private struct Mount {
        var directory: String
        /// The part of the hierarchy mounted there; not `/` if this program is in a container itself.
        var root: String

        /// The group of a directory.
        func group(of path: String) -> String? {
            guard path == directory || path.hasPrefix(directory + "/") else { return nil }
            let below = path.dropFirst(directory.utf8.count)
            return root == "/" ? (below.isEmpty ? "/" : String(below)) : root + below
        }

        /// The directory of a group; nil if it is not below the mounted part.
        func directory(of group: Substring) -> String? {
            if root == "/" { return directory + group }
            return group == root || group.hasPrefix(root + "/") ? directory + group.dropFirst(root.utf8.count) : nil
        }
    }

    /// Hierarchies of version 1 by their controllers.
    private var controllers: [Substring: Mount] = [:]
    /// The hierarchy of version 2.
    private var unified: Mount?

    /// Whether all controllers are of version 2, so that its groups hold the limits of guests.
    var hasOnlyVersion2: Bool { unified != nil && !controllers.keys.contains { !$0.hasPrefix("name=") } }

    /// The mount point of the version 2 hierarchy.
    var unifiedDirectory: String? { unified?.directory }

    /// Reads the table of mounts (proc_pid_mountinfo(5)).
    init(mountinfo: String) {
        for line in mountinfo.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard let dash = fields.firstIndex(of: "-"), dash > 4, fields.count > dash + 3 else { continue }
            let mount = Mount(directory: String(fields[4]), root: String(fields[3]))
            switch fields[dash + 1] {
            case "cgroup": for name in fields[dash + 3].split(separator: ",") { controllers[name] = mount }
            case "cgroup2": unified = mount
            default: break
            }
        }
    }

    /// The present mounts.
    static func current() throws -> ControlGroupMounts {
        ControlGroupMounts(mountinfo: try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8))
    }

    /// The group of this directory in the hierarchy of a controller of version 1.
    func path(of directory: String, below controller: Substring) -> String? {
        controllers[controller]?.group(of: directory)
    }

    /// The directory of a group in the hierarchy of a controller of version 1.
    func directory(of group: String, below controller: Substring) -> String? {
        controllers[controller]?.directory(of: group[...])
    }

    /// All directories where hierarchies of version 1 have a group of this name, whether it is there or not.
    func directories(of group: String) -> [String] {
        Set(controllers.values.compactMap { $0.directory(of: group[...]) }).sorted()
    }

    /// The groups a process is in; nil when it is gone.
    func group(of process: Int32) -> ControlGroup? {
        guard let table = try? String(contentsOfFile: "/proc/\(process)/cgroup", encoding: .utf8) else { return nil }
        return group(table: table)
    }

    /// The groups of a `/proc/<pid>/cgroup`.
    func group(table: String) -> ControlGroup {
        var group = ControlGroup()
        for line in table.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            if fields[0] == "0", fields[1].isEmpty {
                group.unified = unified?.directory(of: fields[2])
            }
            for name in fields[1].split(separator: ",") {
                group.controllers[String(name)] = controllers[name]?.directory(of: fields[2])
            }
        }
        return group
    }
}

/// The control groups of one guest: a directory for each controller of version 1, or one for all of version 2.
///
/// libvirt puts a container's controller process into the container's groups. That process is the host's own, so the
/// guest has no say in what its table of groups is.
struct ControlGroup: Sendable {
    /// Directories of version 1.
    var controllers: [String: String] = [:]
    /// The directory of version 2.
    var unified: String?

    /// The directory a controller's files are in, and which version they are of.
    func directory(of controller: String) -> (path: String, isUnified: Bool)? {
        if let path = controllers[controller] { return (path, false) }
        return unified.map { ($0, true) }
    }

    /// A file's contents; nil if there is none.
    static func read(_ path: String) -> String? {
        (try? DurableFile.read(path)).flatMap { $0 }.map { String(decoding: $0, as: UTF8.self) }
    }

    /// A file's single number; nil if there is none, as for `max`.
    static func number(_ path: String) -> UInt64? {
        read(path).flatMap { UInt64($0.split(whereSeparator: \.isWhitespace).first ?? "") }
    }

    /// The numbers of a file of `name number` lines.
    static func table(_ path: String) -> [Substring: UInt64] {
        guard let text = read(path) else { return [:] }
        return text.split(separator: "\n").reduce(into: [:]) { table, line in
            let fields = line.split(separator: " ")
            if fields.count == 2 { table[fields[0]] = UInt64(fields[1]) }
        }
    }
}
