// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCCore
import LinuxSystem

/// The host ids in user namespaces of running processes, whoever started them (user_namespaces(7)).
enum LiveIDMaps {
    /// Reads all of them. A namespace that maps the host's own root does not have its ids to itself and is left out, as
    /// are those of processes this user may not inspect.
    static func read() -> [Range<UInt32>] {
        guard let own = namespace(of: "self") else { return [] }
        var seen: Set<String> = [own]
        var ids: Set<Range<UInt32>> = []
        for process in (try? DurableFile.list("/proc")) ?? [] where process.utf8.first.map({ $0 < 0x3A }) == true {
            guard let namespace = namespace(of: process), seen.insert(namespace).inserted else { continue }
            for table in ["uid_map", "gid_map"] {
                let bytes = (try? DurableFile.read("/proc/\(process)/\(table)")).flatMap { $0 } ?? []
                ids.formUnion(ranges(String(decoding: bytes, as: UTF8.self)))
            }
        }
        return Array(ids)
    }

    /// The host side of a map's lines: `first inside, first outside, count`.
    static func ranges(_ table: String) -> [Range<UInt32>] {
        let ranges = table.split(separator: "\n").compactMap { line -> Range<UInt32>? in
            let numbers = line.split(separator: " ").compactMap { UInt32($0) }
            guard numbers.count == 3, case let (end, overflow) = numbers[1].addingReportingOverflow(numbers[2]),
                !overflow, numbers[2] > 0
            else { return nil }
            return numbers[1]..<end
        }
        return ranges.contains { $0.contains(0) } ? [] : ranges
    }

    private static func namespace(of process: String) -> String? {
        var target = [CChar](repeating: 0, count: 64)
        let length = readlink("/proc/\(process)/ns/user", &target, target.count - 1)
        guard length > 0 else { return nil }
        return String(decoding: target.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
