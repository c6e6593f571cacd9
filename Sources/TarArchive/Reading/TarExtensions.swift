// SPDX-License-Identifier: Apache-2.0

/// The data in extended headers for the entry after them.
struct TarExtensions {
    /// The records of pax headers for all entries.
    var global: PaxRecords
    /// The records of the last pax header for this entry alone; no reader uses more than the last of several in a row.
    var own = PaxRecords()
    /// GNU's long names.
    var longName: [UInt8]?
    var longLinkName: [UInt8]?
    /// Kinds of losses to count for the entry.
    var losses: [String] = []
    /// Whether a header applies to this entry alone.
    var isEmpty = true
    /// The total size of the headers in bytes.
    var bytes = 0

    /// Starts with the records of global headers.
    init(_ global: PaxRecords) { self.global = global }

    /// All records; those in the entry's own headers take precedence.
    var records: PaxRecords { own.above(global) }

    /// The entry's name.
    func name(_ header: TarHeader, _ records: PaxRecords) -> [UInt8] {
        (records["GNU.sparse.name"] ?? records["path"]).map { Array($0) } ?? longName ?? header.name
    }

    /// The name a link leads to.
    func linkName(_ header: TarHeader, _ records: PaxRecords) -> [UInt8] {
        records["linkpath"].map { Array($0) } ?? longLinkName ?? header.linkName
    }
}
