import Foundation
import LXCHypervisor

/// Reads a specification from a JSON file. What is wrong with it is said in one line that names the file and the key.
enum SpecificationFile {
    static func read<Specification: Decodable>(_ path: String) throws -> Specification {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw LXCError(.notFound, "cannot read the specification \(path.escapedForDisplay); it has to be a file")
        }
        do {
            return try JSONDecoder().decode(Specification.self, from: data)
        } catch let error as LXCError {
            throw LXCError(error.code, "\(path.escapedForDisplay): \(error.message)", cause: error.cause)
        } catch let error as DecodingError {
            throw LXCError(.invalidArgument, "\(path.escapedForDisplay): \(syntaxFault(data) ?? text(of: error))")
        }
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
        @unknown default: "this is no specification"
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
