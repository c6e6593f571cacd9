import CLinux
import LXCCore

/// System calls for the program that enters a guest to make, one after the other (CLinux, enter_helper.S), and the
/// memory they refer to.
struct SystemCallList {
    /// One call in the list.
    struct Call: Hashable { fileprivate let index: Int }

    private struct Entry {
        var number: UInt64
        var arguments: [UInt64]
        var tolerated: UInt64
        var storage: UInt64 = 0
        var branch: UInt64 = 0

        func words(_ index: Int) -> [UInt64] { [number] + arguments + [tolerated, storage, branch, UInt64(index)] }
    }

    private static let wordSize = 8
    private static let entrySize: UInt64 = 88
    /// The program writes a report of a failure to where its memory begins.
    private static let reportSize = 16

    private var entries: [Entry] = []
    private var purposes: [String] = []
    /// The memory, from `clinux_enter_data_address` on.
    private(set) var memory = [UInt8](repeating: 0, count: reportSize)

    /// The list as the program reads it.
    var encoded: [UInt8] { entries.enumerated().flatMap { $1.words($0).flatMap(Self.bytes) } }

    /// What a call was for, as an error says it after "cannot".
    func purpose(of index: Int) -> String { purposes.indices.contains(index) ? purposes[index] : "run a command" }

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
    ///   - number: which.
    ///   - arguments: numbers and addresses, up to six.
    ///   - purpose: what an error says after "cannot".
    ///   - tolerated: the error that is none.
    /// - Returns: the call.
    @discardableResult
    mutating func call(
        _ number: Int, _ arguments: [UInt64], to purpose: String, tolerating tolerated: CInt = 0
    ) -> Call {
        let padded = arguments + [UInt64](repeating: 0, count: 6 - arguments.count)
        entries.append(
            Entry(
                number: UInt64(bitPattern: Int64(number)), arguments: padded,
                tolerated: UInt64(bitPattern: Int64(tolerated))))
        purposes.append(purpose)
        return Call(index: entries.count - 1)
    }

    /// Has a call's result, a word, put into the memory.
    mutating func store(resultOf call: Call, at address: UInt64) { entries[call.index].storage = address }

    /// Has the program go on with what is added next when the call's result is above zero.
    mutating func branchHere(whenPositive call: Call) {
        entries[call.index].branch = clinux_enter_list_address + UInt64(entries.count) * Self.entrySize
    }

    private static func bytes(_ word: UInt64) -> [UInt8] { withUnsafeBytes(of: word, Array.init) }
}
