// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import TestSupport
import Testing

@Suite(.limited)
struct IDMapTests {
    @Test func mapsBothWays() throws {
        let map = try IDMap(host: 100_000, count: 65_536)
        #expect(map.hostUser(0) == 100_000)
        #expect(map.hostGroup(65_535) == 165_535)
        #expect(map.hostUser(65_536) == nil)
        #expect(map.containerUser(100_000) == 0)
        #expect(map.containerGroup(165_535) == 65_535)
        #expect(map.containerUser(99_999) == nil)
        #expect(map.containerUser(165_536) == nil)
        #expect(map.containerUser(0) == nil)
    }

    @Test func usersAndGroupsAreApart() throws {
        let map = try IDMap(
            users: [.init(container: 0, host: 1000, count: 1)], groups: [.init(container: 0, host: 2000, count: 2)])
        #expect(map.hostUser(0) == 1000)
        #expect(map.hostGroup(0) == 2000)
        #expect(map.hostUser(1) == nil)
        #expect(map.hostGroup(1) == 2001)
    }

    @Test func parsesSeveralRanges() throws {
        let map = try IDMap(parsing: ["0:100000:1000", "1000:1000:1", "1001:101001:64535"])
        #expect(map.users.count == 3)
        #expect(map.users == map.groups)
        #expect(map.hostUser(1000) == 1000)
        #expect(map.hostUser(1001) == 101_001)
        #expect(map.users.map(\.description) == ["0:100000:1000", "1000:1000:1", "1001:101001:64535"])
    }

    @Test(arguments: [
        "", "0", "0:1", "0:1:", ":1:1", "0:1:1:1", "0:1:1 ", " 0:1:1", "-1:0:1", "0:-1:1", "0:x:1", "0:1:1\n", "0::1",
        "4294967296:0:1", "0:4294967296:1", "0:0:4294967296", "0x0:1:1", "0:1.0:1", "٠:1:1",
    ])
    func refusesWhatIsNoRange(_ text: String) {
        let error = expect(.invalidArgument) { try IDMap(parsing: [text]) }
        #expect(error?.message.contains("CONTAINER:HOST:COUNT") == true)
    }

    @Test(arguments: [
        (["0:100000:0"], "is empty"),
        (["0:4294967295:1"], "past the last id"), (["0:1:4294967295"], "past the last id"),
        (["0:100000:65536", "65535:300000:1"], "overlaps"), (["0:100000:65536", "70000:165535:1"], "overlaps"),
        (["0:5:10", "20:0:6"], "overlaps"), (["0:0:1", "0:0:1"], "overlaps"),
        (["1:100000:65536"], "no id on the host"), ([], "1 to 340"),
    ])
    func refusesMapsTheKernelWould(_ texts: [String], _ reason: String) {
        let error = expect(.invalidArgument) { try IDMap(parsing: texts) }
        #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
    }

    @Test func theLastIdIsReachedAndNotPassed() throws {
        let map = try IDMap(host: 0, count: UInt32.max)
        #expect(map.hostUser(UInt32.max - 1) == UInt32.max - 1)
        #expect(map.hostUser(UInt32.max) == nil)
        #expect(map.containerUser(UInt32.max) == nil)
    }

    @Test func theKernelTakes340Ranges() throws {
        let ranges = (0..<341).map { IDMap.Range(container: UInt32($0), host: 1_000 + UInt32($0) * 2, count: 1) }
        let map = try IDMap(users: Array(ranges.prefix(340)), groups: Array(ranges.prefix(340)))
        #expect(map.hostUser(339) == 1_678)
        #expect(map.containerUser(1_679) == nil)
        #expect(throws: LXCError.self) { try IDMap(users: ranges, groups: Array(ranges.prefix(340))) }
        #expect(throws: LXCError.self) { try IDMap(users: Array(ranges.prefix(340)), groups: ranges) }
    }

    @Test(arguments: 0..<50)
    func lookupsAreInverse(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        // Ranges laid out one behind the other on both sides, the host side in another order.
        var counts = (0..<Int.random(in: 1...40, using: &random)).map { _ in
            UInt32.random(in: 1...200, using: &random)
        }
        var container: UInt32 = 0
        var ranges = counts.map { count in
            defer { container += count + UInt32.random(in: 0...3, using: &random) }
            return IDMap.Range(container: container, host: 0, count: count)
        }
        var host = UInt32.random(in: 0...1_000_000, using: &random)
        counts.removeAll()
        for index in ranges.indices.shuffled(using: &random) {
            ranges[index].host = host
            host += ranges[index].count + UInt32.random(in: 0...3, using: &random)
        }
        let map = try IDMap(users: ranges, groups: ranges.reversed())
        let isInverse = (0..<(container + 10)).allSatisfy { id in
            guard let outside = map.hostUser(id) else { return map.hostGroup(id) == nil }
            return map.hostGroup(id) == outside && map.containerUser(outside) == id
                && map.containerGroup(outside) == id
        }
        #expect(isInverse)
        #expect((0..<(container + 10)).count { map.hostUser($0) != nil } == ranges.reduce(0) { $0 + Int($1.count) })
        for range in ranges {
            for edge in [range.host, range.host + range.count - 1] {
                #expect(map.containerUser(edge).flatMap(map.hostUser) == edge)
            }
        }
    }

    @Test func codingChecksTheRules() throws {
        let map = try IDMap(parsing: ["0:100000:65536"])
        #expect(try JSONDecoder().decode(IDMap.self, from: JSONEncoder().encode(map)) == map)
        let overlapping = """
            {"users":[{"container":0,"host":1,"count":5},{"container":4,"host":50,"count":1}],
             "groups":[{"container":0,"host":1,"count":5}]}
            """
        #expect(throws: LXCError.self) { try JSONDecoder().decode(IDMap.self, from: Data(overlapping.utf8)) }
    }
}
