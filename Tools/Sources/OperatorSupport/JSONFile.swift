// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import LXCHypervisor

/// Reads a value from a JSON file. Faults are reported in one line that names the file and the key.
package enum JSONFile {
    /// Reads the value; `what` describes the file's contents.
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

    /// The syntax error of the data; the decoder itself reports neither error nor position.
    private static func syntaxFault(_ data: Data) -> String? {
        guard let fault = JSONSyntax.fault(in: Array(data)) else { return nil }
        let lines = data.prefix(fault.offset).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        let (line, column) = (max(lines.count, 1), (lines.last?.count ?? 0) + 1)
        return "this is not a JSON document: \(fault.reason) (line \(line), column \(column))"
    }

    private static func text(of error: DecodingError) -> String {
        guard case .dataCorrupted(let context) = error else { return error.words }
        guard !context.codingPath.isEmpty else {
            return "a number is not whole, is negative or is too large for its key"
        }
        return "\(DecodingError.name(of: context.codingPath)): \(context.debugDescription.escapedForDisplay)"
    }
}
