// SPDX-License-Identifier: Apache-2.0

/// Plain records in ascending order, in memory or in a stretch of a file.
struct SortedRun<Record: BitwiseCopyable & Sendable> {
    private enum Storage {
        case memory([Record])
        case file(SpillFile, start: UInt64)
    }

    private let storage: Storage
    /// The number of records.
    let count: Int

    /// Creates a sorted run from records in ascending order.
    init(_ records: [Record]) {
        storage = .memory(records)
        count = records.count
    }

    /// Creates a sorted run from the contents of a file from `start` on.
    init(_ file: SpillFile, start: UInt64, count: Int) {
        storage = .file(file, start: start)
        self.count = count
    }

    /// Reads up to `limit` records from the one at `index` on.
    func records(from index: Int, limit: Int) throws -> [Record] {
        let wanted = min(limit, count - index)
        guard wanted > 0 else { return [] }
        switch storage {
        case .memory(let records): return Array(records[index..<(index + wanted)])
        case .file(let file, let start):
            let stride = MemoryLayout<Record>.stride
            return try [Record](unsafeUninitializedCapacity: wanted) { room, filled in
                let bytes = UnsafeMutableRawBufferPointer(room)
                let read = try file.read(into: bytes, at: start + UInt64(index * stride))
                guard read == wanted * stride else { throw SpillFailure.cut }
                filled = wanted
            }
        }
    }
}

/// The position of a merge of several runs.
struct RunMerge<Record: BitwiseCopyable & Comparable & Sendable> {
    /// The number of records of a run held in memory.
    private static var ahead: Int { max(64, (64 << 10) / MemoryLayout<Record>.stride) }

    private struct Cursor {
        let run: SortedRun<Record>
        var next = 0
        var records: [Record] = []
        var index = 0

        /// Advances to the next record; nil after the last.
        mutating func advance() throws -> Record? {
            index += 1
            if index >= records.count {
                records = try run.records(from: next, limit: RunMerge.ahead)
                next += records.count
                index = 0
            }
            return index < records.count ? records[index] : nil
        }
    }

    private var cursors: [Cursor]
    /// A heap of the cursors' records; among equal ones the record of the first run is on top.
    private var heap: [(record: Record, cursor: Int)] = []

    /// Starts a merge.
    init(_ runs: [SortedRun<Record>]) throws {
        cursors = runs.map { Cursor(run: $0) }
        for index in cursors.indices {
            if let record = try cursors[index].advance() { heap.append((record, index)) }
        }
        for index in heap.indices.reversed() { sink(index) }
    }

    /// The next record of all; nil after the last.
    mutating func next() throws -> Record? {
        guard let top = heap.first else { return nil }
        if let record = try cursors[top.cursor].advance() {
            heap[0].record = record
        } else {
            let last = heap.removeLast()
            if heap.isEmpty { return top.record }
            heap[0] = last
        }
        sink(0)
        return top.record
    }

    private func precedes(_ left: Int, _ right: Int) -> Bool {
        if heap[left].record < heap[right].record { return true }
        return heap[right].record < heap[left].record ? false : heap[left].cursor < heap[right].cursor
    }

    private mutating func sink(_ start: Int) {
        var index = start
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count && precedes(child, least) {
                least = child
            }
            guard least != index else { return }
            heap.swapAt(index, least)
            index = least
        }
    }
}

/// Sorts plain records, of which only some are in memory once there are many.
struct SpillSorter<Record: BitwiseCopyable & Comparable & Sendable> {
    /// The number of bytes kept in memory and sorted together.
    private static var memory: Int { 4 << 20 }

    private var file: SpillFile?
    private var runs: [SortedRun<Record>] = []
    private var recent: [Record] = []

    /// No records.
    init() {}

    /// The number of records.
    var count: Int { runs.reduce(recent.count) { $0 + $1.count } }

    /// Adds a record.
    mutating func add(_ record: Record) throws {
        recent.append(record)
        guard recent.count * MemoryLayout<Record>.stride >= Self.memory else { return }
        recent.sort()
        let file = try self.file ?? SpillFile()
        self.file = file
        let start = try recent.withUnsafeBytes { try file.append($0) }
        runs.append(SortedRun(file, start: start, count: recent.count))
        recent.removeAll(keepingCapacity: true)
    }

    /// Everything in stretches that are sorted each.
    var sortedRuns: [SortedRun<Record>] { runs + [SortedRun(recent.sorted())] }

    /// Calls `body` for every record in ascending order.
    func forEach(_ body: (Record) throws -> Void) throws { try Self.forEach(of: [self], body) }

    /// Calls `body` for every record of several in ascending order.
    static func forEach(of sorters: [Self], _ body: (Record) throws -> Void) throws {
        var merge = try RunMerge(sorters.flatMap(\.sortedRuns))
        while let record = try merge.next() { try body(record) }
    }
}
