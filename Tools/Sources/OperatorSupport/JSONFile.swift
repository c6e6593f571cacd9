import Foundation
import LXCHypervisor

/// Reads a value from a JSON file. What is wrong with it is said in one line that names the file and the key.
package enum JSONFile {
    /// Reads the value; `what` is what the file holds, in words.
    package static func read<Value: Decodable>(_ type: Value.Type, _ what: String, from path: String) throws -> Value {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw LXCError(.notFound, "cannot read the \(what) \(path.escapedForDisplay); it has to be a file")
        }
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch let error as LXCError {
            throw LXCError(error.code, "\(path.escapedForDisplay): \(error.message)", cause: error.cause)
        } catch let error as DecodingError {
            throw LXCError(.invalidArgument, "\(path.escapedForDisplay): \(syntaxFault(data) ?? text(of: error))")
        }
    }

    /// Reads the specification of a container or of a system VM.
    package static func specification<Specification: Decodable>(_ path: String) throws -> Specification {
        try read(Specification.self, "specification", from: path)
    }

    /// What keeps the data from being JSON at all; the decoder itself says neither what nor where.
    private static func syntaxFault(_ data: Data) -> String? {
        do {
            _ = try JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed)
            return nil
        } catch {
            let detail = (error as NSError).userInfo["NSDebugDescription"] as? String
            return "this is no JSON document: \((detail ?? error.localizedDescription).escapedForDisplay)"
        }
    }

    private static func text(of error: DecodingError) -> String {
        switch error {
        case .keyNotFound(let key, let context): "the key \(name(context.codingPath + [key])) is missing"
        case .valueNotFound(_, let context): "\(name(context.codingPath)) must not be null"
        case .typeMismatch(let type, let context): "\(name(context.codingPath)) has to be \(kind(type))"
        case .dataCorrupted(let context) where context.codingPath.isEmpty:
            "a number is not whole, is negative or is too large for its key"
        case .dataCorrupted(let context):
            "\(name(context.codingPath)): \(context.debugDescription.escapedForDisplay)"
        @unknown default: "this is not what the file has to hold"
        }
    }

    /// A key with those it is below, as `nics[0].mac`.
    private static func name(_ path: [any CodingKey]) -> String {
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
