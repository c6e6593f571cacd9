// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// A value that cannot be written. The path to it grows while the fault passes through the enclosing elements, so
/// that the error names the field: `os/initarg[2]`, `devices/interface[1]/source@bridge`.
struct FieldFault: Error {
    private let path: [String]
    private let problem: String
    private let code: LXCError.Code

    /// A fault of the element or attribute at hand.
    init(_ problem: String, code: LXCError.Code = .invalidArgument) {
        self.init(path: [], problem: problem, code: code)
    }

    private init(path: [String], problem: String, code: LXCError.Code) {
        self.path = path
        self.problem = problem
        self.code = code
    }

    private func inside(_ step: String) -> Self { Self(path: [step] + path, problem: problem, code: code) }

    /// Runs `body`; its fault is one of the field `step` names.
    static func inside<Result>(_ step: String, _ body: () throws -> Result) throws -> Result {
        do { return try body() } catch let fault as FieldFault { throw fault.inside(step) }
    }

    /// Runs `body` and turns its fault into the error callers see.
    static func reported<Result>(_ body: () throws -> Result) throws -> Result {
        do { return try body() } catch let fault as FieldFault { throw fault.error }
    }

    private var error: LXCError {
        let field = path.joined(separator: "/").replacing("/@", with: "@").escapedForDisplay
        return LXCError(code, "\(field.isEmpty ? "the document" : field) \(problem)")
    }
}
