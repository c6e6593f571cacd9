// SPDX-License-Identifier: Apache-2.0

extension Decoder {
    /// Refuses an object that has other keys than those known: a misspelt key would otherwise be a wish silently not
    /// granted.
    ///
    /// - Throws: ``LXCError`` `invalidArgument` naming the first such key.
    package func requireKeys(of known: (some CodingKey & CaseIterable).Type, in what: String) throws {
        let names = Set(known.allCases.map(\.stringValue))
        let others = try container(keyedBy: AnyKey.self).allKeys.map(\.stringValue).filter { !names.contains($0) }
        guard let first = others.min() else { return }
        throw LXCError(.invalidArgument, "\(what) has no key \"\(first.escapedForDisplay)\"")
    }
}

/// A key of any name.
private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}
