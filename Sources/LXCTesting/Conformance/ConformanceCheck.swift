// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// One rule of a protocol, and the check that a driver follows it.
///
/// With Swift Testing:
///
/// ```swift
/// let conformance = PrimaryStoreConformance { try await MyStore(directory: scratch()) }
///
/// @Test(arguments: conformance.checks)
/// func conforms(_ check: ConformanceCheck) async throws { try await check.run() }
/// ```
///
/// Any other test framework calls ``run()`` as well: a check that fails throws.
public struct ConformanceCheck: Sendable, Identifiable, CustomStringConvertible {
    /// The rule in one sentence.
    public let rule: String
    private let body: @Sendable () async throws -> Void

    init(_ rule: String, _ body: @escaping @Sendable () async throws -> Void) {
        self.rule = rule
        self.body = body
    }

    /// The rule.
    public var id: String { rule }
    /// The rule.
    public var description: String { rule }

    /// Proves the rule.
    ///
    /// - Throws: ``ConformanceFailure`` naming the rule and what was found instead.
    public func run() async throws {
        do {
            try await body()
        } catch let broken as Broken {
            throw ConformanceFailure(rule: rule, found: broken.found)
        } catch {
            throw ConformanceFailure(rule: rule, found: "unexpected error: \(error)")
        }
    }
}

/// A driver breaks a rule of its protocol.
public struct ConformanceFailure: Error, Hashable, CustomStringConvertible {
    /// The rule.
    public let rule: String
    /// The actual behaviour.
    public let found: String

    /// Rule and finding.
    public var description: String { "\(rule): \(found)" }
}

extension Sequence<ConformanceCheck> {
    /// Runs all checks, one after the other, to the end.
    ///
    /// - Throws: the first ``ConformanceFailure``.
    func runAll() async throws {
        var first: (any Error)?
        for check in self {
            do { try await check.run() } catch { first = first ?? error }
        }
        if let first { throw first }
    }
}

/// The actual behaviour that a check found against the rule.
struct Broken: Error {
    let found: String
}

func require(_ condition: Bool, _ found: @autoclosure () -> String) throws {
    guard condition else { throw Broken(found: found()) }
}

func requireEqual<Value: Equatable>(_ found: Value, _ expected: Value, _ what: String) throws {
    try require(found == expected, "\(what) is \(found), not \(expected)")
}

/// Runs `body`, which must throw an `LXCError` of one of the given codes, and returns that.
@discardableResult
func requireError<Value>(
    _ codes: LXCError.Code..., by what: String, _ body: () async throws -> Value
) async throws -> LXCError {
    do {
        _ = try await body()
    } catch let error as LXCError {
        try require(codes.contains(error.code), "\(what) throws \(error.code) (\(error)), not \(codes[0])")
        return error
    } catch {
        throw Broken(found: "\(what) throws \(error), not an LXCError")
    }
    throw Broken(found: "\(what) throws nothing")
}

/// Runs `body`, which must end within `limit`.
func within<Value: Sendable>(
    _ limit: Duration, _ what: String, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    guard let value = try await within(limit, body) else { throw Broken(found: "\(what) took more than \(limit)") }
    return value
}
