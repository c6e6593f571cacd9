// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LinuxSystem
import TestSupport
import Testing

@testable import FileTree

/// What keeps most of itself in temporary files behaves as what is in memory.
@Suite(.limited)
struct SpillTests {
    private func hash(_ number: Int) -> Hash { Hash(of: Array("\(number)".utf8)) }

    @Test func tableIsADictionary() throws {
        var random = SeededRandom(seed: 1)
        var table = SpillTable<Hash, Int>(capacity: 16)
        var known: [Hash: Int] = [:]
        for step in 0..<6_000 {
            let key = hash(Int.random(in: 0..<1_500, using: &random))
            #expect(try table.value(of: key) == known[key])
            if Bool.random(using: &random) {
                try table.set(key, step)
                known[key] = step
            }
        }
        var found: [(Hash, Int)] = []
        try table.forEach { found.append(($0, $1)) }
        #expect(zip(found, found.dropFirst()).allSatisfy { $0.0 < $1.0 })
        #expect(Dictionary(uniqueKeysWithValues: found) == known)
    }

    @Test func sorterSorts() throws {
        var sorter = SpillSorter<Hash>()
        for number in 0..<150_000 { try sorter.add(hash(number)) }
        var last = Hash.zero
        var count = 0
        try sorter.forEach { record in
            if record < last { Issue.record("\(count)") }
            last = record
            count += 1
        }
        #expect(count == 150_000)
    }

    @Test func logAndArrayGiveBackWhatTheyWereGiven() throws {
        var random = SeededRandom(seed: 2)
        var log = SpillLog()
        var places: [(place: UInt64, count: Int, byte: UInt8)] = []
        for index in 0..<3_000 {
            let count = Int.random(in: 0..<(index.isMultiple(of: 10) ? 20_000 : 900), using: &random)
            let byte = UInt8(truncatingIfNeeded: index)
            places.append((try log.append([UInt8](repeating: byte, count: count)), count, byte))
        }
        for (index, known) in places.enumerated() {
            let (text, next) = try log.text(at: known.place)
            #expect(text == [UInt8](repeating: known.byte, count: known.count))
            #expect(next == (index + 1 < places.count ? places[index + 1].place : log.end))
        }
        var array = SpillArray<UInt64>()
        for number in 0..<1_200_000 as Range<UInt64> { try array.append(number) }
        try array.replace(7, with: 70)
        try array.replace(1_199_999, with: 71)
        #expect(array.count == 1_200_000)
        #expect(try [7, 8, 600_000, 1_199_999].map { try array.element(at: $0) } == [70, 8, 600_000, 71])
    }

    @Test func smallestNameOfEachInodeIsFound() throws {
        var links = LinkNames()
        let names = ["d/b", "a", "c", "a", "b/x", "b", "z", "b"]
        for (index, name) in names.enumerated() {
            let path = try TreePath(name)
            try links.add(path, Hash(of: path.bytes), inode: index < 4 ? 1 : 2)
        }
        var found: [String: Hash] = [:]
        try links.forEach(where: { $0.hash != Hash(of: Array("z".utf8)) }) { name, first in
            found[try links.path(at: name.path).description] = first
        }
        let (first, second) = (Hash(of: Array("a".utf8)), Hash(of: Array("b".utf8)))
        #expect(found == ["a": first, "c": first, "d/b": first, "b": second, "b/x": second])
    }

    @Test func unfinishedDirectoriesComeTheDeepestFirstAndOnce() throws {
        var directories = UnfinishedDirectories()
        let attribute = TreeEntry.Attribute(name: try #require(AttributeName("user.a")), value: [1, 0, 2])
        for (index, path) in ["a", "a/b", "c", "a/b/c", "a/b"].enumerated() {
            let time = Timestamp(seconds: Int64(index) - 2, nanoseconds: 5)
            try directories.add(
                TreeEntry(
                    path: TreePath(path), kind: .directory, mode: UInt16(index), user: 3, group: 4, modified: time,
                    attributes: [attribute]))
        }
        var found: [TreeEntry] = []
        try directories.forEach { found.append($0) }
        #expect(found.map(\.path.depth) == [3, 2, 1, 1])
        #expect(found.first { $0.path.description == "a/b" }?.mode == 4)
        #expect(found.allSatisfy { $0.attributes == [attribute] && $0.user == 3 && $0.group == 4 })
        #expect(found.map(\.modified.seconds).sorted() == [-2, 0, 1, 2])
    }

    @Test(arguments: PathResolution.allCases)
    func deepTreesAreOpenedInStepsOfTheirOwnLength(resolution: PathResolution) throws {
        let scratch = try ScratchDirectory()
        let depth = 3_000
        try scratch.shell(
            """
            mkdir tree; python3 -c "
            import os
            os.chdir('tree')
            for i in range(\(depth)): os.mkdir('a'); os.mkdir('b'); os.chdir('a')"
            """)
        guard let root = Descriptor(scratch("tree"), flags: 0) else {
            Issue.record("the tree cannot be opened")
            return
        }
        let descent = PathDescent(root: root.raw, resolution)
        // Down as a walk goes, and up again as it comes by what it left.
        for step in Array(1...depth) + (1...depth).reversed() {
            let way = [String](repeating: "a", count: step - 1).joined(separator: "/")
            for name in ["a", "b"] {
                let path = try TreePath(way.isEmpty ? name : way + "/" + name)
                if descent.open(path, flags: 0) == nil { Issue.record("\(step) \(name)") }
            }
        }
        // Each of the 12,000 paths has 1,500 components on average.
        #expect(descent.lookUps < 40 * 2 * depth, "\(descent.lookUps)")
    }
}
