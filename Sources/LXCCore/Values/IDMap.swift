// SPDX-License-Identifier: Apache-2.0

/// The mapping of a container's user and group ids to host ids: libvirt's `<idmap>`, user_namespaces(7).
///
/// The one value serves both sides: the tree engine maps owners while it copies, and the domain document carries the
/// same ranges to the kernel.
public struct IDMap: Hashable, Sendable, Codable {
    /// `count` consecutive ids, starting at `container` inside and at `host` outside.
    public struct Range: Hashable, Sendable, Codable {
        /// The first id inside the container.
        public var container: UInt32
        /// The first id on the host.
        public var host: UInt32
        /// The number of ids.
        public var count: UInt32

        /// Creates a range from the three numbers of a line of `/proc/<pid>/uid_map`.
        public init(container: UInt32, host: UInt32, count: UInt32) {
            self.container = container
            self.host = host
            self.count = count
        }

        fileprivate func hostID(_ id: UInt32) -> UInt32? {
            id >= container && id - container < count ? host + (id - container) : nil
        }

        fileprivate func containerID(_ id: UInt32) -> UInt32? {
            id >= host && id - host < count ? container + (id - host) : nil
        }

        fileprivate func overlaps(_ other: Range) -> Bool {
            let inside = container < other.container + other.count && other.container < container + count
            let outside = host < other.host + other.count && other.host < host + count
            return inside || outside
        }
    }

    /// The user id ranges.
    public let users: [Range]
    /// The group id ranges.
    public let groups: [Range]

    /// Creates a map from ranges and checks them.
    ///
    /// - Throws: ``LXCError`` with code `invalidArgument` when a list is empty, has more than the kernel's 340 ranges,
    ///   does not map container id 0, or has ranges that are empty, overlap or run past the last id (2³² − 2).
    public init(users: [Range], groups: [Range]) throws {
        try Self.check(users, "user")
        try Self.check(groups, "group")
        self.users = users
        self.groups = groups
    }

    /// 65,536 ids from host id 100,000 on: what Debian gives its first subordinate user (useradd(8), SUB_UID_MIN).
    public static let standard = IDMap(unchecked: [Range(container: 0, host: 100_000, count: 65_536)])

    private init(unchecked ranges: [Range]) {
        users = ranges
        groups = ranges
    }

    /// One range for users and groups alike.
    public init(container: UInt32 = 0, host: UInt32, count: UInt32) throws {
        let range = Range(container: container, host: host, count: count)
        try self.init(users: [range], groups: [range])
    }

    /// Reads one or more `CONTAINER:HOST:COUNT` texts, each for users and groups alike.
    ///
    /// - Throws: ``LXCError`` with code `invalidArgument`.
    public init(parsing texts: [String]) throws {
        let ranges = try texts.map { text in
            let numbers = text.split(separator: ":", omittingEmptySubsequences: false).map { UInt32($0) }
            guard numbers.count == 3, let container = numbers[0], let host = numbers[1], let count = numbers[2] else {
                throw LXCError(
                    .invalidArgument,
                    "\"\(text.escapedForDisplay)\" is not an id map; expected CONTAINER:HOST:COUNT, as 0:100000:65536")
            }
            return Range(container: container, host: host, count: count)
        }
        try self.init(users: ranges, groups: ranges)
    }

    private static func check(_ ranges: [Range], _ what: String) throws {
        guard (1...340).contains(ranges.count) else {
            throw LXCError(.invalidArgument, "an id map takes 1 to 340 \(what) ranges, not \(ranges.count)")
        }
        for (index, range) in ranges.enumerated() {
            let fits = { (first: UInt32) in UInt64(first) + UInt64(range.count) <= UInt64(UInt32.max) }
            guard range.count > 0, fits(range.container), fits(range.host) else {
                throw LXCError(.invalidArgument, "the \(what) id range \(range) is empty or runs past the last id")
            }
            guard !ranges[..<index].contains(where: range.overlaps) else {
                throw LXCError(.invalidArgument, "the \(what) id range \(range) overlaps another of the same map")
            }
        }
        guard ranges.contains(where: { $0.hostID(0) != nil }) else {
            throw LXCError(.invalidArgument, "the id map gives the container's \(what) 0 no id on the host")
        }
    }

    /// The host's id for a user of the container; nil if the map does not cover it.
    public func hostUser(_ id: UInt32) -> UInt32? { Self.first(users) { $0.hostID(id) } }
    /// The host's id for a group of the container; nil if the map does not cover it.
    public func hostGroup(_ id: UInt32) -> UInt32? { Self.first(groups) { $0.hostID(id) } }
    /// The container's id for a user of the host; nil if the map does not cover it.
    public func containerUser(_ id: UInt32) -> UInt32? { Self.first(users) { $0.containerID(id) } }
    /// The container's id for a group of the host; nil if the map does not cover it.
    public func containerGroup(_ id: UInt32) -> UInt32? { Self.first(groups) { $0.containerID(id) } }

    private static func first(_ ranges: [Range], _ translate: (Range) -> UInt32?) -> UInt32? {
        for range in ranges {
            if let id = translate(range) { return id }
        }
        return nil
    }

    private enum CodingKeys: String, CodingKey { case users, groups }

    /// Reads and checks the ranges.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            users: container.decode([Range].self, forKey: .users),
            groups: container.decode([Range].self, forKey: .groups))
    }
}

extension IDMap.Range: CustomStringConvertible {
    /// The range as `CONTAINER:HOST:COUNT`.
    public var description: String { "\(container):\(host):\(count)" }
}
