// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import LXCCore

extension NetworkFilter {
    /// The `<filter>` document.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming the field that cannot be written, `limitExceeded` beyond the number
    ///   of rules that libvirt can put in order.
    public func xml() throws -> String {
        guard rules.count <= Self.priorities.count else {
            throw LXCError(
                .limitExceeded,
                "the network filter \(name.escapedForDisplay) has \(rules.count) rules; at most \(Self.priorities.count) "
                    + "can be put in order")
        }
        return try FieldFault.reported {
            var filter = XMLFragment("filter")
            try filter.set("name", name, .filterName)
            try filter.set("chain", "root")
            try filter.writeText("uuid", uuid.uuidString.lowercased())
            try filter.writeEach("rule", Array(zip(rules, Self.priorities))) { try $0.written(priority: $1) }
            return try filter.printed()
        }
    }

    /// libvirt's priorities, the lowest first. Rules of the same would be in no certain order.
    private static let priorities = -1000...1000
}

extension NetworkFilter.Rule {
    fileprivate func written(priority: Int) throws -> XMLFragment {
        var rule = XMLFragment("rule")
        try rule.set("action", action.rawValue)
        try rule.set("direction", direction.rawValue)
        try rule.set("priority", String(priority))
        try rule.set("statematch", followsConnections ? nil : "false")
        var element = XMLFragment(XMLName(match.element.rawValue))
        try element.set("match", match.isNegated ? "no" : nil)
        for (attribute, value) in match.attributes.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            try element.set(XMLName(attribute.rawValue), value, .filterMatch)
        }
        rule.children.append(.element(element))
        return rule
    }
}
