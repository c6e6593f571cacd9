// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// The error an operation throws; nil when it throws none or another.
func error(of operation: () async throws -> Void) async -> LXCError? {
    do {
        try await operation()
        return nil
    } catch {
        return error as? LXCError
    }
}
