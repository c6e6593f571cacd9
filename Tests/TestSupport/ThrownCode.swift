// SPDX-License-Identifier: Apache-2.0

public import LXCCore

/// The code of the `LXCError` that `body` throws; nil when it throws nothing or something else.
public func codeThrown<Value>(by body: () async throws -> Value) async -> LXCError.Code? {
    do {
        _ = try await body()
        return nil
    } catch {
        return (error as? LXCError)?.code
    }
}
