// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import LinuxSystem
import StoreFiles

/// Operations that free space must not need space. If locks have files, some files are kept that can be removed to make
/// space for them.
extension Pool {
    private static let reserved = 8
    private static let contents = [UInt8](repeating: 0, count: 512)

    /// Completes the reserve if there is space.
    func keepReserve() async throws {
        guard files.locksTakeSpace else { return }
        let present = Set(try await files.list(StoreLayout.reserve))
        for number in 0..<Self.reserved where !present.contains("\(number)") {
            try await repair { try await files.write(Self.contents, to: "\(StoreLayout.reserve)/\(number)") }
        }
    }

    /// Runs `body` holding a lock, also on a full file system.
    func holdToFree<Value>(
        _ lock: String, _ mode: StoreLock.Mode = .exclusive, _ body: (StoreLock) async throws -> Value
    ) async throws -> Value {
        try await withRoom { begin in
            try await files.hold(lock, mode) {
                begin()
                return try await body($0)
            }
        }
    }

    /// The same, or nil immediately while another holder excludes this one.
    func tryHoldToFree<Value>(_ lock: String, _ body: (StoreLock) async throws -> Value) async throws -> Value? {
        try await withRoom { begin in
            try await files.tryHold(lock, .exclusive) {
                begin()
                return try await body($0)
            }
        }
    }

    private func withRoom<Value>(_ take: (_ begin: () -> Void) async throws -> Value) async throws -> Value {
        while true {
            var hasBegun = false
            do {
                return try await take { hasBegun = true }
            } catch let error as LXCError where !hasBegun && error.isLackOfSpace {
                guard try await spend() else { throw error }
            }
        }
    }

    /// Removes one file of the reserve; false if none is left.
    private func spend() async throws -> Bool {
        for name in try await files.list(StoreLayout.reserve) {
            if try await files.remove("\(StoreLayout.reserve)/\(name)") { return true }
        }
        return false
    }
}
