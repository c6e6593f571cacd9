// SPDX-License-Identifier: Apache-2.0

public import LXCCore
public import Testing

/// Expects that `body` throws an `LXCError` with one of the codes.
///
/// - Returns: the error; nil, with an issue recorded, when nothing or something else was thrown.
@discardableResult public func expect<Value>(
    _ codes: LXCError.Code..., sourceLocation: SourceLocation = #_sourceLocation, by body: () throws -> Value
) -> LXCError? {
    judge(Result { _ = try body() }, codes, sourceLocation)
}

/// Expects that `body` throws an `LXCError` with one of the codes.
///
/// - Returns: the error; nil, with an issue recorded, when nothing or something else was thrown.
@discardableResult public func expect<Value>(
    _ codes: LXCError.Code..., sourceLocation: SourceLocation = #_sourceLocation, by body: () async throws -> Value
) async -> LXCError? {
    do {
        _ = try await body()
        return judge(.success(()), codes, sourceLocation)
    } catch {
        return judge(.failure(error), codes, sourceLocation)
    }
}

private func judge(
    _ result: Result<Void, any Error>, _ codes: [LXCError.Code], _ location: SourceLocation
) -> LXCError? {
    let expected = codes.map(\.description).joined(separator: " or ")
    switch result {
    case .success: Issue.record("expected the error \(expected), but nothing was thrown", sourceLocation: location)
    case .failure(let error):
        if let error = error as? LXCError, codes.contains(error.code) { return error }
        Issue.record("expected the error \(expected), but \(error) was thrown", sourceLocation: location)
    }
    return nil
}
