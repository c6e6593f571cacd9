// SPDX-License-Identifier: Apache-2.0

package import LXCHypervisor

/// The wanted state of a host: the containers of a JSON file.
package struct Declaration: Equatable, Sendable {
    /// One container.
    package struct Entry: Equatable, Sendable {
        /// The specification of the container.
        package var specification: LXCHypervisor.ContainerSpecification
        /// Whether it is to run; else it is there, stopped.
        package var isRunning: Bool

        package init(_ specification: LXCHypervisor.ContainerSpecification, isRunning: Bool = true) {
            self.specification = specification
            self.isRunning = isRunning
        }
    }

    /// The containers, no two of one name.
    package var entries: [Entry]

    package init(_ entries: [Entry] = []) { self.entries = entries }
}

extension Declaration: Decodable {
    private enum CodingKeys: String, CodingKey { case containers }

    /// Reads `{"containers": [{"state": "running", "specification": {…}}]}`.
    ///
    /// - Throws: `LXCError` `invalidArgument` for an unknown key, for values that break a rule and for two containers
    ///   of one name; `DecodingError` for values of a wrong type.
    package init(from decoder: any Decoder) throws {
        try decoder.refuseKeys(but: ["containers"])
        var list = try decoder.container(keyedBy: CodingKeys.self).nestedUnkeyedContainer(forKey: .containers)
        entries = []
        while !list.isAtEnd {
            let place = "containers[\(list.currentIndex)]"
            do {
                entries.append(try list.decode(Entry.self))
            } catch let error as LXCError {
                throw LXCError(error.code, "\(place): \(error.message)", cause: error.cause)
            }
        }
        let names = entries.map(\.specification.name)
        if let twice = names.first(where: { name in names.count { $0 == name } > 1 }) {
            throw LXCError(.invalidArgument, "two containers have the name \(twice)")
        }
    }
}

extension Declaration.Entry: Decodable {
    private enum CodingKeys: String, CodingKey { case state, specification }
    private enum State: String, Decodable { case running, stopped }

    package init(from decoder: any Decoder) throws {
        try decoder.refuseKeys(but: ["state", "specification"])
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let state = try values.decodeIfPresent(State.self, forKey: .state)
        try self.init(
            values.decode(LXCHypervisor.ContainerSpecification.self, forKey: .specification),
            isRunning: state != .stopped)
        guard specification.owner?.isEmpty != true else {
            throw LXCError(.invalidArgument, "the owner of \(specification.name) must not be empty; leave it out")
        }
    }
}

extension Decoder {
    /// Refuses an unknown key: it is probably misspelt, and its value would be ignored.
    fileprivate func refuseKeys(but known: Set<String>) throws {
        let keys = try container(keyedBy: AnyKey.self).allKeys.map(\.stringValue)
        guard let other = keys.filter({ !known.contains($0) }).min() else { return }
        throw LXCError(
            .invalidArgument,
            "there is no key \"\(other.escapedForDisplay)\" here; the keys are \(known.sorted().joined(separator: ", "))"
        )
    }
}

private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}
