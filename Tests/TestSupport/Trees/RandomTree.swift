// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

/// Makes trees with something of everything, the same for the same seed.
package struct RandomTree {
    /// What a tree may have.
    package struct Range {
        /// Seconds of times.
        package var seconds: ClosedRange<Int64>
        /// Those of every other time.
        package var secondsNear1970: ClosedRange<Int64>
        package var largestID: UInt32
        package var largestACLID = Int(UInt32.max) - 1
        /// Bytes of an attribute's value.
        package var attributeBytes: Int
        /// Holes and contents begin and end at multiples of this.
        package var unit: UInt64
        /// What names of attributes may hold beside letters.
        package var attributeNames = "=%\u{e9} \n"
        package var hasDevices = true

        /// What there is no limit for in a list.
        package init(
            seconds: ClosedRange<Int64> = Int64.min...Int64.max, secondsNear1970: ClosedRange<Int64> = -3...3,
            largestID: UInt32 = .max - 1, attributeBytes: Int = 40_000, unit: UInt64 = 1
        ) {
            self.seconds = seconds
            self.secondsNear1970 = secondsNear1970
            self.largestID = largestID
            self.attributeBytes = attributeBytes
            self.unit = unit
        }

        /// What ext4 and tmpfs hold: 34 bits of seconds, one block of attributes, holes of whole blocks.
        package static let fileSystem = Range(
            seconds: -(1 << 31)...15_032_385_535, attributeBytes: 300, unit: 4_096)

        /// What NFSv3 holds of a server's ext4, beside attributes: 32 bits of seconds without a sign.
        package static let nfs = Range(
            seconds: 0...Int64(UInt32.max), secondsNear1970: 0...3, attributeBytes: 300, unit: 4_096)
    }

    private var random: SeededRandom
    private let range: Range
    private var nodes: [ReadEntry] = []
    private var directories: [TreePath] = [.root]
    private var linkable: [TreeEntry] = []
    private var taken: Set<TreePath> = []

    /// A tree of so many entries beside the root.
    package static func make(seed: UInt64, entries: Int, _ range: Range = Range()) throws -> ListedTree {
        var tree = RandomTree(random: SeededRandom(seed: seed), range: range)
        var root = TreeEntry(path: .root, kind: .directory, mode: 0o755)
        tree.dress(&root)
        tree.nodes.append(ReadEntry(entry: root))
        for _ in 0..<entries { try tree.add() }
        return ListedTree(tree.nodes)
    }

    private init(random: SeededRandom, range: Range) {
        self.random = random
        self.range = range
    }

    private mutating func add() throws {
        let path = newPath()
        var node = ReadEntry(entry: TreeEntry(path: path, kind: .fifo, mode: UInt16(number(0...0o7777))))
        switch number(0...11) {
        case 0...2:
            node.entry.kind = .directory
            directories.append(path)
        case 3...5: addContents(to: &node)
        case 6: addHoles(to: &node)
        case 7:
            node.entry.kind = .symbolicLink(target: bytes(1...(chance(4) ? 400 : 60), excluding: [0]))
            node.entry.mode = 0o777
        case 8...9:
            guard let target = linkable.randomElement(using: &random) else { return try add() }
            node.entry = target
            node.entry.path = path
            node.entry.kind = .hardLink(to: target.path)
            node.entry.attributes = []
            node.entry.extents = nil
            return nodes.append(node)
        case 10 where range.hasDevices:
            let device = (UInt32(number(0...4_095)), UInt32(number(0...1_048_575)))
            node.entry.kind =
                chance(2)
                ? .characterDevice(major: device.0, minor: device.1) : .blockDevice(major: device.0, minor: device.1)
        default: break
        }
        dress(&node.entry)
        nodes.append(node)
        if node.entry.kind != .directory { linkable.append(node.entry) }
    }

    private mutating func addContents(to node: inout ReadEntry) {
        let content = bytes(0...(chance(5) ? 200_000 : 3_000))
        node.entry.kind = .file(size: UInt64(content.count))
        var rest = content[...]
        while !rest.isEmpty {
            let count = number(1...max(1, rest.count))
            let offset = UInt64(content.count - rest.count)
            node.pieces.append(ReadEntry.Piece(offset: offset, bytes: Array(rest.prefix(count))))
            rest = rest.dropFirst(count)
        }
    }

    private mutating func addHoles(to node: inout ReadEntry) {
        var offset: UInt64 = 0
        var extents: [Swift.Range<UInt64>] = []
        for _ in 0..<number(0...5) {
            let start = offset + range.unit * UInt64(number(1...20))
            // The file system sees contents of zeros alone as it likes.
            let content = bytes(Int(range.unit)...Int(range.unit), excluding: [0])
            node.pieces.append(ReadEntry.Piece(offset: start, bytes: content))
            offset = start + UInt64(content.count)
            extents.append(start..<offset)
        }
        node.entry.kind = .file(size: offset + range.unit * UInt64(number(1...9) - 1) + (extents.isEmpty ? 1 : 0))
        node.entry.extents = extents
    }

    /// Gives an entry owners, a time and attributes.
    private mutating func dress(_ entry: inout TreeEntry) {
        entry.user = id()
        entry.group = id()
        let seconds = chance(2) ? range.seconds : range.secondsNear1970
        entry.modified = Timestamp(
            seconds: Int64.random(in: seconds, using: &random),
            nanoseconds: chance(3) ? 0 : UInt32(number(0...999_999_999)))
        if chance(2), let name = AttributeName(Array("trusted.".utf8) + attributeName()) {
            entry.attributes.append(.init(name: name, value: bytes(0...(chance(9) ? range.attributeBytes : 100))))
        }
        if case .file = entry.kind, chance(3) {
            let capability: [UInt8] = [1, 0, 0, 2, 0, 0x20] + [UInt8](repeating: 0, count: 14)
            entry.attributes.append(.init(name: .capability, value: capability))
        }
        if case .symbolicLink = entry.kind { return }
        if chance(4) { addACL(to: &entry) }
    }

    private mutating func addACL(to entry: inout TreeEntry) {
        let isDefault = entry.kind == .directory && chance(2)
        let mode = entry.mode
        let permissions = { (shift: UInt16) in mode >> shift & 7 }
        let list = AccessControlList([
            .init(tag: .owner, permissions: permissions(6)), .init(tag: .other, permissions: permissions(0)),
            .init(tag: .mask, permissions: permissions(3)), .init(tag: .owningGroup, permissions: 5),
            .init(tag: .user, permissions: 6, id: UInt32(number(0...70_000))),
            .init(tag: .group, permissions: 1, id: UInt32(number(0...range.largestACLID))),
        ])
        entry.attributes.append(.init(name: isDefault ? .defaultACL : .accessACL, value: list.value))
    }

    private mutating func newPath() -> TreePath {
        while true {
            let length = number(1...5) == 5 ? 1...255 : 1...12
            let name = bytes(length, excluding: [0, UInt8(ascii: "/")])
            let path = directories.randomElement(using: &random).map { $0.appending(name) } ?? .root
            if name != [46], name != [46, 46], path.bytes.count < 3_000, taken.insert(path).inserted { return path }
        }
    }

    private mutating func attributeName() -> [UInt8] {
        let letters = Array(("abcXYZ._-0" + range.attributeNames).utf8)
        return (0..<number(1...20)).map { _ in letters[number(0...letters.count - 1)] }
    }

    /// Letters as often as all other bytes together.
    private mutating func bytes(_ counts: ClosedRange<Int>, excluding excluded: [UInt8] = []) -> [UInt8] {
        let count = number(counts)
        var result: [UInt8] = []
        result.reserveCapacity(count)
        while result.count < count {
            // Two bytes of chance for each byte: one decides, one is it.
            var chances = random.next()
            for _ in 0..<4 where result.count < count {
                let byte = UInt8(truncatingIfNeeded: chances)
                let isLetter = chances & 0x100 != 0
                chances >>= 16
                let chosen = isLetter ? 97 + byte % 26 : byte
                if excluded.isEmpty || !excluded.contains(chosen) { result.append(chosen) }
            }
        }
        return result
    }

    private mutating func id() -> UInt32 {
        chance(3) ? UInt32.random(in: 0...range.largestID, using: &random) : UInt32(number(0...1_000))
    }

    private mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
    /// Once in so many times.
    private mutating func chance(_ times: Int) -> Bool { number(1...times) == 1 }
}
