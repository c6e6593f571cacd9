// SPDX-License-Identifier: Apache-2.0

import CLibvirt
import Glibc
import LXCCore

/// A value of one of libvirt's typed parameters. Drivers insist on the type they know a parameter by.
public enum TypedValue: Hashable, Sendable {
    /// `VIR_TYPED_PARAM_INT`.
    case int(Int32)
    /// `VIR_TYPED_PARAM_UINT`.
    case unsigned(UInt32)
    /// `VIR_TYPED_PARAM_LLONG`: `vcpu_quota`.
    case long(Int64)
    /// `VIR_TYPED_PARAM_ULLONG`: `cpu_shares`, `vcpu_period`, `hard_limit`.
    case unsignedLong(UInt64)
    /// `VIR_TYPED_PARAM_DOUBLE`.
    case double(Double)
    /// `VIR_TYPED_PARAM_BOOLEAN`.
    case boolean(Bool)
    /// `VIR_TYPED_PARAM_STRING`.
    case string(String)

    /// The value as a whole number that is not negative, whichever integer type it came as.
    public var asUInt64: UInt64? {
        switch self {
        case .int(let value): UInt64(exactly: value)
        case .unsigned(let value): UInt64(value)
        case .long(let value): UInt64(exactly: value)
        case .unsignedLong(let value): value
        case .double, .boolean, .string: nil
        }
    }
}

/// Owns a list of typed parameters that libvirt frees.
struct TypedParameterList: ~Copyable {
    private(set) var raw: virTypedParameterPtr?
    private(set) var count: Int32 = 0
    private var capacity: Int32 = 0

    /// Room for `count` parameters that libvirt will fill in.
    init(room count: Int32) {
        guard count > 0 else { return }
        raw = calloc(Int(count), MemoryLayout<virTypedParameter>.stride)?
            .bindMemory(to: virTypedParameter.self, capacity: Int(count))
        self.count = raw == nil ? 0 : count
        capacity = self.count
    }

    /// The parameters given, in order of their names.
    init(_ values: [String: TypedValue]) throws(LXCError) {
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            try requireNoNUL(name, "the parameter name")
            let result: Int32
            switch value {
            case .int(let value): result = virTypedParamsAddInt(&raw, &count, &capacity, name, value)
            case .unsigned(let value): result = virTypedParamsAddUInt(&raw, &count, &capacity, name, value)
            case .long(let value): result = virTypedParamsAddLLong(&raw, &count, &capacity, name, value)
            case .unsignedLong(let value): result = virTypedParamsAddULLong(&raw, &count, &capacity, name, value)
            case .double(let value): result = virTypedParamsAddDouble(&raw, &count, &capacity, name, value)
            case .boolean(let value): result = virTypedParamsAddBoolean(&raw, &count, &capacity, name, value ? 1 : 0)
            case .string(let value):
                try requireNoNUL(value, "the parameter \(name.escapedForDisplay)")
                result = virTypedParamsAddString(&raw, &count, &capacity, name, value)
            }
            if result < 0 { throw .lastLibvirt("set the parameter \(name.escapedForDisplay)") }
        }
    }

    deinit { virTypedParamsFree(raw, count) }

    /// Lets libvirt fill the list; `fill` gets the buffer and sets the count to the number of entries used.
    mutating func filled(by fill: (virTypedParameterPtr?, inout Int32) -> Int32) -> Int32 {
        var used = count
        let result = fill(raw, &used)
        if result >= 0 { count = min(used, capacity) }
        return result
    }

    /// The parameters by name; one of a type this module does not know is left out.
    borrowing func values() -> [String: TypedValue] {
        guard let raw else { return [:] }
        var values: [String: TypedValue] = [:]
        for index in 0..<Int(count) {
            var parameter = raw[index]
            let name = withUnsafeBytes(of: &parameter.field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if let value = Self.value(of: parameter), !name.isEmpty { values[name] = value }
        }
        return values
    }

    private static func value(of parameter: virTypedParameter) -> TypedValue? {
        switch virTypedParameterType(rawValue: UInt32(bitPattern: parameter.type)) {
        case VIR_TYPED_PARAM_INT: .int(parameter.value.i)
        case VIR_TYPED_PARAM_UINT: .unsigned(parameter.value.ui)
        case VIR_TYPED_PARAM_LLONG: .long(parameter.value.l)
        case VIR_TYPED_PARAM_ULLONG: .unsignedLong(parameter.value.ul)
        case VIR_TYPED_PARAM_DOUBLE: .double(parameter.value.d)
        case VIR_TYPED_PARAM_BOOLEAN: .boolean(parameter.value.b != 0)
        case VIR_TYPED_PARAM_STRING: parameter.value.s.map { .string(String(cString: $0)) }
        default: nil
        }
    }
}
