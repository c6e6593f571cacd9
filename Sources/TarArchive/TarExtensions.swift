/// What extended headers say of the entry after them.
struct TarExtensions {
    /// The records of pax headers, those for all entries among them.
    var records: PaxRecords
    /// GNU's long names.
    var longName: [UInt8]?
    var longLinkName: [UInt8]?
    /// Kinds of losses to count for the entry.
    var losses: [String] = []
    private var ofAll: PaxRecords

    /// Starts with what a global header said.
    init(_ global: PaxRecords) {
        records = global
        ofAll = global
    }

    /// Whether nothing was said of this entry alone.
    var isEmpty: Bool {
        longName == nil && longLinkName == nil && records.values == ofAll.values && records.sparseNumbers.isEmpty
    }

    /// Takes a global header met before the entry; what the entry's own headers say goes first.
    mutating func adopt(_ global: PaxRecords) {
        ofAll = global
        var merged = global
        merged.merge(records)
        records = merged
    }

    /// The entry's name.
    func name(_ header: TarHeader) -> [UInt8] {
        records["GNU.sparse.name"] ?? records["path"] ?? longName ?? header.name
    }

    /// The name a link leads to.
    func linkName(_ header: TarHeader) -> [UInt8] { records["linkpath"] ?? longLinkName ?? header.linkName }
}
