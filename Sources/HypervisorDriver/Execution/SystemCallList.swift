// SPDX-License-Identifier: Apache-2.0

import CLinux
import LXCCore

/// System calls for the program that enters a guest to make, one after the other (CLinux, enter_helper.S), and the
/// memory they refer to.
struct SystemCallList {
    /// One call in the list.
    struct Call: Hashable { fileprivate let index: Int }

    /// The meaning of a failed call for the command.
    enum Kind {
        /// The command could not be started.
        case entering
        /// Its program could not be run.
        case execution
    }

    private struct Entry {
        var number: UInt64
        var arguments: [UInt64]
        var tolerated: UInt64
        var storage: UInt64 = 0
        var branch: UInt64 = 0
        var detour: (error: UInt64, entry: UInt64) = (0, 0)

        func words(_ index: Int) -> [UInt64] {
            [number] + arguments + [tolerated, storage, branch, UInt64(index), detour.error, detour.entry]
        }
    }

    private static let wordSize = 8
    private static let entrySize: UInt64 = 104
    /// The program writes a report of a failure to where its memory begins.
    private static let reportSize = 16

    private var entries: [Entry] = []
    private var purposes: [(text: String, kind: Kind)] = []
    /// The memory, from `clinux_enter_data_address` on.
    private(set) var memory = [UInt8](repeating: 0, count: reportSize)

    /// The list as the program reads it.
    var encoded: [UInt8] { entries.enumerated().flatMap { $1.words($0).flatMap(Self.bytes) } }

    /// The purpose of a call, worded to follow "cannot".
    func purpose(of index: Int) -> (text: String, kind: Kind) {
        purposes.indices.contains(index) ? purposes[index] : ("run a command", .entering)
    }

    // MARK: Memory

    /// Puts bytes into the memory: their address.
    mutating func place(_ bytes: some Sequence<UInt8>) -> UInt64 {
        memory += [UInt8](repeating: 0, count: -memory.count & (Self.wordSize - 1))
        let address = clinux_enter_data_address + UInt64(memory.count)
        memory += bytes
        return address
    }

    /// Puts text into the memory, with a NUL behind it.
    mutating func place(_ text: String) -> UInt64 { place(Array(text.utf8) + [0]) }

    /// Puts words into the memory.
    mutating func place(words: [UInt64]) -> UInt64 { place(words.flatMap(Self.bytes)) }

    /// Puts text into the memory, and a list of the texts' addresses that ends with a null pointer.
    mutating func place(list: [String]) -> UInt64 {
        let addresses = list.map { place($0) }
        return place(words: addresses + [0])
    }

    // MARK: Calls

    /// Adds a call.
    ///
    /// - Parameters:
    ///   - number: the number of the call.
    ///   - arguments: numbers and addresses, up to six.
    ///   - purpose: the purpose, worded to follow "cannot".
    ///   - kind: the meaning of a failure for the command.
    ///   - tolerated: the errors to ignore, up to eight.
    /// - Returns: the call.
    @discardableResult
    mutating func call(
        _ number: Int, _ arguments: [UInt64], to purpose: String, of kind: Kind = .entering,
        tolerating tolerated: [CInt] = []
    ) -> Call {
        let padded = arguments + [UInt64](repeating: 0, count: 6 - arguments.count)
        entries.append(
            Entry(
                number: UInt64(bitPattern: Int64(number)), arguments: padded,
                tolerated: tolerated.reversed().reduce(0) { $0 << 8 | UInt64(UInt8(truncatingIfNeeded: $1)) }))
        purposes.append((purpose, kind))
        return Call(index: entries.count - 1)
    }

    /// Has a call's result, a word, put into the memory.
    mutating func store(resultOf call: Call, at address: UInt64) { entries[call.index].storage = address }

    /// Stores a call's result as another's first argument.
    mutating func store(resultOf call: Call, asFirstArgumentOf other: Call) {
        let argument = UInt64(other.index) * Self.entrySize + UInt64(Self.wordSize)
        store(resultOf: call, at: clinux_enter_list_address + argument)
    }

    /// Continues with the next call added if the call's result is above zero.
    mutating func branchHere(whenPositive call: Call) {
        entries[call.index].branch = clinux_enter_list_address + UInt64(entries.count) * Self.entrySize
    }

    /// Continues with the next call added if the call fails with an error.
    mutating func branchHere(from call: Call, after error: CInt) {
        let entry = clinux_enter_list_address + UInt64(entries.count) * Self.entrySize
        entries[call.index].detour = (UInt64(UInt32(bitPattern: error)), entry)
    }

    private static func bytes(_ word: UInt64) -> [UInt8] { withUnsafeBytes(of: word, Array.init) }
}
