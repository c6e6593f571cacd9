// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCCore
import LinuxSystem

extension LXCHypervisor {
    /// The source of host ids for unprivileged containers, so that no two containers share one.
    public struct IDMapPolicy: Hashable, Sendable {
        /// The number of ids for each container.
        public var count: UInt32 = 65_536
        /// The host ids to assign, for users and groups alike; `nil` uses root's ranges in `/etc/subuid` and
        /// `/etc/subgid` (subuid(5)), or, if root has none there, ``standardRange`` without the ranges of others.
        public var ranges: [Range<UInt32>]?
        /// The directory of the book of assigned ids, accessible to root only and the same for all programs on the
        /// host. It must survive a host reboot, as volumes do.
        public var directory =
            geteuid() == 0 ? "/var/lib/lxc-hypervisor/ids" : "/tmp/lxc-hypervisor-\(geteuid())/ids"
        /// Whether ids in use in user namespaces of running processes, whoever started them, are never assigned to a
        /// container.
        public var respectsProcesses = true

        /// 10000 ranges of 65536 ids, starting at 100000.
        public static let standardRange: Range<UInt32> = 100_000..<655_460_000

        /// Uses the host's own tables.
        public init() {}

        /// The ranges to assign ids from.
        ///
        /// - Throws: `LXCError` `invalidArgument` if root's two tables have no ids in common.
        func available() throws -> [Range<UInt32>] {
            if let ranges { return ranges }
            let tables = ["/etc/subuid", "/etc/subgid"].map { path in
                Self.entries(
                    (try? DurableFile.read(path)).flatMap { $0 }.map { String(decoding: $0, as: UTF8.self) } ?? "")
            }
            return try Self.available(users: tables[0], groups: tables[1])
        }

        typealias Entry = (owner: Substring, ids: Range<UInt32>)

        /// The lines of a table; lines that cannot be parsed are ignored.
        static func entries(_ table: String) -> [Entry] {
            table.split(separator: "\n").compactMap { line in
                let fields = line.split(separator: ":", omittingEmptySubsequences: false)
                guard fields.count == 3, let first = UInt32(fields[1]), let count = UInt32(fields[2]),
                    case let (end, overflow) = first.addingReportingOverflow(count), !overflow, count > 0
                else { return nil }
                return (fields[0], first..<end)
            }
        }

        static func available(users: [Entry], groups: [Entry]) throws -> [Range<UInt32>] {
            let isRoot = { (entry: Entry) in entry.owner == "root" || entry.owner == "0" }
            let (own, ownGroups) = (users.filter(isRoot).map(\.ids), groups.filter(isRoot).map(\.ids))
            guard !own.isEmpty || !ownGroups.isEmpty else {
                return (users + groups).reduce([standardRange]) { ranges, entry in
                    ranges.flatMap {
                        [$0.clamped(to: 0..<entry.ids.lowerBound), $0.clamped(to: entry.ids.upperBound ..< .max)]
                    }
                    .filter { !$0.isEmpty }
                }
            }
            // A container's users and groups get the same numbers, so only ids that root has in both tables can be
            // used.
            let common = own.flatMap { users in ownGroups.map { users.clamped(to: $0) } }.filter { !$0.isEmpty }
            guard !common.isEmpty else {
                throw LXCError(
                    .invalidArgument,
                    "root's ranges in /etc/subuid and /etc/subgid have no id in common; give root the same range in both"
                )
            }
            return common
        }

        /// The first range that overlaps none of the taken ones.
        func first(in available: [Range<UInt32>], avoiding taken: [Range<UInt32>]) -> Range<UInt32>? {
            let taken = taken.sorted { $0.lowerBound < $1.lowerBound }
            for range in available.sorted(by: { $0.lowerBound < $1.lowerBound }) {
                var start = range.lowerBound
                for other in taken where other.overlaps(start..<max(start, range.upperBound)) {
                    if other.lowerBound >= start, other.lowerBound - start >= count { break }
                    start = max(start, other.upperBound)
                }
                if start < range.upperBound, range.upperBound - start >= count { return start..<(start + count) }
            }
            return nil
        }
    }
}

extension IDMap {
    /// The host ids it uses, for users and groups.
    var hostRanges: [Swift.Range<UInt32>] { (users + groups).map { $0.host..<($0.host + $0.count) } }

    /// Whether the map includes the host's own root: such a map is privileged, whatever it is called.
    public var hasHostRoot: Bool { hostRanges.contains { $0.contains(0) } }
}
