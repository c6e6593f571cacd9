// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import LXCCore
import LinuxSystem

/// The volumes that processes of this host run from, whoever started them, including guests of another libvirtd that
/// this program does not know.
enum VolumesInUse {
    /// Reads the mounts of all processes, once per mount namespace, and the arguments of QEMU processes. Synchronous:
    /// call it on a `BlockingPool`. Unreadable entries belong to processes that have ended.
    static func current() -> Set<VolumeID> {
        var volumes: Set<VolumeID> = []
        var namespaces: Set<String> = []
        for process in (try? DurableFile.list("/proc")) ?? [] where process.allSatisfy(\.isNumber) {
            let directory = "/proc/\(process)"
            if let namespace = try? FileManager.default.destinationOfSymbolicLink(atPath: "\(directory)/ns/mnt"),
                namespaces.insert(namespace).inserted
            {
                volumes.formUnion(roots(in: text("\(directory)/mountinfo")))
            }
            if text("\(directory)/comm").hasPrefix("qemu") {
                volumes.formUnion(files(in: text("\(directory)/cmdline")))
            }
        }
        return volumes
    }

    /// The volumes mounted as the root directory in a mount table (proc_pid_mountinfo(5)).
    static func roots(in table: String) -> [VolumeID] {
        table.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count > 4, fields[4] == "/" else { return nil }
            return volume(fields[3].split(separator: "/").last ?? "")
        }
    }

    /// The disks among the files named in QEMU's arguments.
    static func files(in arguments: String) -> [VolumeID] {
        arguments.split { "/\0,\"=".contains($0) }.compactMap(volume)
    }

    private static func volume(_ name: Substring) -> VolumeID? {
        name.utf8.count == 36 ? try? VolumeID(parsing: String(name)) : nil
    }

    private static func text(_ path: String) -> String {
        // Files in proc(5) report no size; 8 MiB hold the mounts of thousands of containers.
        let bytes = (try? DurableFile.read(path, limit: 8 << 20)).flatMap { $0 } ?? []
        return String(decoding: bytes, as: UTF8.self)
    }
}
