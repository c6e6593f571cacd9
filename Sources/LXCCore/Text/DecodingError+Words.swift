// SPDX-License-Identifier: Apache-2.0

extension DecodingError {
    /// A description of the document's fault, worded for its author: Foundation's descriptions are for programmers.
    public var words: String {
        switch self {
        case .keyNotFound(let key, let context): "the key \(Self.name(of: context.codingPath + [key])) is missing"
        case .valueNotFound(_, let context): "\(Self.name(of: context.codingPath)) must not be null"
        case .typeMismatch(let type, let context): "\(Self.name(of: context.codingPath)) has to be \(Self.kind(type))"
        case .dataCorrupted(let context) where context.codingPath.isEmpty:
            "it is not JSON, or a number in it is not whole, is negative or is too large for its key"
        case .dataCorrupted(let context): "\(Self.name(of: context.codingPath)) has a value that is not possible there"
        @unknown default: "it has an unexpected form"
        }
    }

    /// A key with those it is below, as `"nics[0].mac"`.
    public static func name(of path: [any CodingKey]) -> String {
        guard !path.isEmpty else { return "the document" }
        let text = path.reduce(into: "") { text, key in
            text += key.intValue.map { "[\($0)]" } ?? (text.isEmpty ? "" : ".") + key.stringValue
        }
        return "\"\(text.escapedForDisplay)\""
    }

    private static func kind(_ type: Any.Type) -> String {
        switch type {
        case is String.Type: "a text"
        case is Bool.Type: "true or false"
        case is any FixedWidthInteger.Type: "a whole number"
        case is [Any].Type: "a list"
        default: "an object"
        }
    }
}

extension Decoder {
    /// Runs `body`, which reads from this decoder, and rewords Foundation's decoding errors for the document's author.
    ///
    /// - Throws: what `body` throws; ``LXCError`` `invalidArgument` for everything else.
    package func inOurWords<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let error as DecodingError {
            throw LXCError(.invalidArgument, error.words)
        } catch let error as LXCError {
            throw error
        } catch {
            // Foundation's reader of JSON has an error of its own for numbers, and names no key.
            throw LXCError(.invalidArgument, "a number in it is not whole, is negative or is too large for its key")
        }
    }
}
