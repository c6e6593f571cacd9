/// What extended headers say of the entry after them.
struct TarExtensions {
    /// The records of pax headers for all entries.
    var global: PaxRecords
    /// The records of pax headers for this entry alone.
    var own = PaxRecords()
    /// GNU's long names.
    var longName: [UInt8]?
    var longLinkName: [UInt8]?
    /// Kinds of losses to count for the entry.
    var losses: [String] = []

    /// Starts with what global headers said.
    init(_ global: PaxRecords) { self.global = global }

    /// Whether nothing was said of this entry alone.
    var isEmpty: Bool { longName == nil && longLinkName == nil && own.count == 0 }

    /// All records; what the entry's own headers say goes first.
    var records: PaxRecords {
        guard global.count > 0 else { return own }
        var records = global
        records.merge(own)
        return records
    }

    /// The entry's name.
    func name(_ header: TarHeader, _ records: PaxRecords) -> [UInt8] {
        (records["GNU.sparse.name"] ?? records["path"]).map { Array($0) } ?? longName ?? header.name
    }

    /// The name a link leads to.
    func linkName(_ header: TarHeader, _ records: PaxRecords) -> [UInt8] {
        records["linkpath"].map { Array($0) } ?? longLinkName ?? header.linkName
    }
}
