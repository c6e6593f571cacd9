// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// A JSON value, looked at without types of the library's: what another program sees.
enum JSON: Hashable, Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case text(String)
    case list([JSON])
    case object([String: JSON])

    init(_ value: Any) throws {
        switch value {
        case is NSNull: self = .null
        case let value as String: self = .text(value)
        case let value as [Any]: self = .list(try value.map(JSON.init))
        case let value as [String: Any]: self = .object(try value.mapValues(JSON.init))
        case let value as NSNumber: self = value.isBoolean ? .bool(value.boolValue) : .number(value.doubleValue)
        default: throw Strange()
        }
    }

    private struct Strange: Error {}

    subscript(key: String) -> JSON {
        guard case .object(let values) = self else { return .null }
        return values[key] ?? .null
    }

    subscript(index: Int) -> JSON {
        guard case .list(let values) = self, values.indices.contains(index) else { return .null }
        return values[index]
    }

    var keys: Set<String> {
        guard case .object(let values) = self else { return [] }
        return Set(values.keys)
    }

    var count: Int {
        switch self {
        case .list(let values): values.count
        case .object(let values): values.count
        default: 0
        }
    }

    var text: String? {
        guard case .text(let value) = self else { return nil }
        return value
    }

    var number: Double? {
        guard case .number(let value) = self else { return nil }
        return value
    }
}

extension NSNumber {
    fileprivate var isBoolean: Bool { String(cString: objCType) == "c" }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    init(stringLiteral value: String) { self = .text(value) }
    init(integerLiteral value: Int) { self = .number(Double(value)) }
    init(booleanLiteral value: Bool) { self = .bool(value) }
}
