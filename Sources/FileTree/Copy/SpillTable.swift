// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// A key of a ``SpillTable``.
protocol SpillKey: BitwiseCopyable, Comparable, Hashable, Sendable {
    /// Two numbers that differ for different keys nearly always, and are spread evenly.
    var spread: (UInt64, UInt64) { get }
}

/// A dictionary of plain values of which only the newest are in memory once there are many.
///
/// When memory is full its contents go to a file, sorted by key; a value there is replaced by one in a newer file. A
/// filter of 12 bits for each key, held in memory, recognizes nearly all keys that are in none of the files. Files of
/// similar size are merged.
struct SpillTable<Key: SpillKey, Value: BitwiseCopyable & Sendable> {
    /// A key with its value; ordered by the key alone.
    struct Entry: BitwiseCopyable, Comparable, Sendable {
        let key: Key
        let value: Value

        static func < (left: Self, right: Self) -> Bool { left.key < right.key }
        static func == (left: Self, right: Self) -> Bool { left.key == right.key }
    }

    private struct Run {
        let entries: SortedRun<Entry>
        let filter: KeyFilter
        /// Every so many keys one.
        let fences: [Key]
        /// The number of merges its contents went through.
        let level: Int
    }

    /// The maximum number of values in memory.
    private let capacity: Int
    private static var runsOfALevel: Int { 8 }
    private static var fenceDistance: Int { 128 }

    private var recent: [Key: Value] = [:]
    /// The oldest first.
    private var runs: [Run] = []

    /// An empty table.
    init(capacity: Int = 65_536) { self.capacity = capacity }

    /// The value of a key.
    func value(of key: Key) throws -> Value? {
        if let value = recent[key] { return value }
        for run in runs.reversed() where run.filter.mayContain(key.spread) {
            if let value = try find(key, in: run) { return value }
        }
        return nil
    }

    /// Sets the value of a key.
    mutating func set(_ key: Key, _ value: Value) throws {
        recent[key] = value
        if recent.count >= capacity { try spill() }
    }

    /// Calls `body` for every key and its value in the order of the keys.
    func forEach(_ body: (Key, Value) throws -> Void) throws {
        let newest = SortedRun(recent.map { Entry(key: $0.key, value: $0.value) }.sorted())
        try Self.merge([newest] + runs.reversed().map(\.entries)) { try body($0.key, $0.value) }
    }

    private func find(_ key: Key, in run: Run) throws -> Value? {
        var (low, high) = (0, run.fences.count)
        while low < high {
            let middle = (low + high) / 2
            if run.fences[middle] <= key { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        let entries = try run.entries.records(from: (low - 1) * Self.fenceDistance, limit: Self.fenceDistance)
        return entries.first { $0.key == key }?.value
    }

    private mutating func spill() throws {
        let entries = recent.map { Entry(key: $0.key, value: $0.value) }.sorted()
        recent.removeAll(keepingCapacity: true)
        runs.append(try Self.store([SortedRun(entries)], level: 0))
        while let level = runs.last?.level,
            runs.suffix(Self.runsOfALevel).count(where: { $0.level == level })
                == Self.runsOfALevel
        {
            let merged = runs.suffix(Self.runsOfALevel).reversed().map(\.entries)
            let run = try Self.store(Array(merged), level: level + 1)
            runs.removeLast(Self.runsOfALevel)
            runs.append(run)
        }
    }

    /// Writes a run with what several hold, of which the newest is named first.
    private static func store(_ sources: [SortedRun<Entry>], level: Int) throws -> Run {
        let file = try SpillFile()
        var filter = KeyFilter(keys: sources.reduce(0) { $0 + $1.count })
        var fences: [Key] = []
        var count = 0
        var block: [Entry] = []
        try merge(sources) { entry in
            if count.isMultiple(of: fenceDistance) { fences.append(entry.key) }
            filter.insert(entry.key.spread)
            block.append(entry)
            count += 1
            guard block.count == 1_024 else { return }
            try block.withUnsafeBytes { _ = try file.append($0) }
            block.removeAll(keepingCapacity: true)
        }
        try block.withUnsafeBytes { _ = try file.append($0) }
        return Run(entries: SortedRun(file, start: 0, count: count), filter: filter, fences: fences, level: level)
    }

    /// Calls `body` for each key once, with the value of the run named first.
    private static func merge(_ runs: [SortedRun<Entry>], _ body: (Entry) throws -> Void) throws {
        var merge = try RunMerge(runs)
        var last: Key?
        while let entry = try merge.next() {
            if last == entry.key { continue }
            last = entry.key
            try body(entry)
        }
    }
}

/// Says whether a key is certainly not in a set or may be in it (a Bloom filter).
struct KeyFilter {
    private static let bitsOfAKey = 12
    private static let probes: UInt64 = 5
    private var words: [UInt64]

    /// Makes room for so many keys.
    init(keys: Int) { words = [UInt64](repeating: 0, count: max(keys, 1) * Self.bitsOfAKey / 64 + 1) }

    mutating func insert(_ spread: (UInt64, UInt64)) {
        for probe in 0..<Self.probes {
            let (word, bit) = place(spread, probe)
            words[word] |= bit
        }
    }

    func mayContain(_ spread: (UInt64, UInt64)) -> Bool {
        (0..<Self.probes).allSatisfy { probe in
            let (word, bit) = place(spread, probe)
            return words[word] & bit != 0
        }
    }

    private func place(_ spread: (UInt64, UInt64), _ probe: UInt64) -> (word: Int, bit: UInt64) {
        let bit = (spread.0 &+ probe &* (spread.1 | 1)) % UInt64(words.count * 64)
        return (Int(bit / 64), 1 << (bit % 64))
    }
}

extension Hash: SpillKey {
    var spread: (UInt64, UInt64) { halves }
}

extension FileStatus.Identity: SpillKey {
    var spread: (UInt64, UInt64) { (Self.mixed(inode ^ device &* 0x9E37_79B9_7F4A_7C15), Self.mixed(inode &+ device)) }

    static func < (left: Self, right: Self) -> Bool {
        (left.device, left.inode) < (right.device, right.inode)
    }

    /// Spreads a number over all bits (the finalizer of SplitMix64).
    private static func mixed(_ number: UInt64) -> UInt64 {
        var mixed = (number ^ (number >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
