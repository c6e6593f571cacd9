// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import NFSClient
import Synchronization
import TestSupport
import Testing

/// What a server says is not believed.
@Suite(.limited) struct LyingServerTests {
    private func examine(_ server: LyingServer, _ limits: TreeLimits = TreeLimits()) async -> LXCError.Code? {
        var options = TreeCopyOptions()
        options.limits = limits
        return await codeThrown { [options] in
            try await TreeCopy.examine(NFSTree(NFSURL(parsing: server.url)), options: options)
        }
    }

    @Test func anHonestListingIsRead() async throws {
        let server = try LyingServer { handle, _ in
            handle == [0]
                ? ([.init(bytes: Array("f".utf8)), .init(bytes: Array("d".utf8), type: 2)], true) : ([], true)
        }
        let summary = try await TreeCopy.examine(NFSTree(NFSURL(parsing: server.url)))
        #expect(summary.counts.files == 1)
        #expect(summary.counts.directories == 2)
    }

    @Test(arguments: ["", "a/b", "/", "/etc/passwd", "../x"])
    func namesThatArePathsAreRefused(_ name: String) async throws {
        let server = try LyingServer { _, _ in ([.init(bytes: Array(name.utf8))], true) }
        #expect(await examine(server) == .corrupt)
        let client = try await NFSClient.connect(to: NFSURL(parsing: server.url))
        await expect(.corrupt) { try await client.list(client.root) }
    }

    @Test func theDirectoryItselfAndTheOneAboveAreNotEntries() async throws {
        let server = try LyingServer { _, _ in
            ([.init(bytes: [46], type: 2, handle: [0]), .init(bytes: [46, 46], type: 2, handle: [9])], true)
        }
        #expect(await examine(server) == nil)
    }

    @Test func aDirectoryThatContainsItselfIsRefused() async throws {
        let server = try LyingServer { handle, _ in
            ([.init(bytes: Array("again".utf8), type: 2, handle: handle == [0] ? [7] : [0])], true)
        }
        #expect(await examine(server) == .corrupt)
    }

    @Test func endlessDepthEndsAtTheLimit() async throws {
        let server = try LyingServer { handle, _ in
            ([.init(bytes: Array("d".utf8), type: 2, handle: Self.next(handle))], true)
        }
        #expect(await examine(server) == .limitExceeded)
    }

    private static func next(_ handle: [UInt8]) -> [UInt8] {
        var number = handle.reduce(UInt64(0)) { $0 << 8 | UInt64($1) } + 1
        return withUnsafeBytes(of: &number) { Array($0.reversed()) }
    }

    @Test func anEndlessListingEndsAtTheLimit() async throws {
        let server = try LyingServer { _, cookie in
            ((0..<200 as Range<UInt64>).map { .init(bytes: Array("f\(cookie + $0)".utf8)) }, false)
        }
        var limits = TreeLimits()
        limits.entries = 10_000
        #expect(await examine(server, limits) == .limitExceeded)
    }

    /// A directory that changes while it is listed: the server has forgotten the position, once.
    @Test func aForgottenPositionIsListedAnew() async throws {
        let wasRefused = Mutex(false)
        let server = try LyingServer { handle, cookie in
            guard handle == [0], cookie != 0 else { return nil }
            return wasRefused.withLock { wasRefused in
                defer { wasRefused = true }
                return wasRefused ? nil : 10_003
            }
        } listing: { handle, cookie in
            guard handle == [0] else { return ([], true) }
            return cookie == 0 ? ([.init(bytes: Array("a".utf8))], false) : ([.init(bytes: Array("b".utf8))], true)
        }
        let summary = try await TreeCopy.examine(NFSTree(NFSURL(parsing: server.url)))
        #expect(summary.counts.files == 2)
        #expect(wasRefused.withLock { $0 })
    }

    @Test func aListingThatDoesNotMoveIsRefused() async throws {
        let server = try LyingServer { _, _ in ([], false) }
        #expect(await examine(server) == .corrupt)
    }

    /// libnfs decodes a listing by recursion, one call for each name.
    @Test func aReplyWithVeryManyNamesIsDecoded() async throws {
        let names = (0..<6_000).map { LyingServer.Name(bytes: Array("\($0)".utf8), handle: [1]) }
        let server = try LyingServer { _, _ in (names, true) }
        let summary = try await TreeCopy.examine(NFSTree(NFSURL(parsing: server.url)))
        #expect(summary.counts.files == 6_000)
    }

    @Test func aHandleTooLongIsNone() async throws {
        let server = try LyingServer { _, _ in
            ([.init(bytes: [97], handle: [UInt8](repeating: 1, count: 65))], true)
        }
        #expect(await examine(server) != nil)
    }

    @Test func contentsThatDoNotComeAreAnError() async throws {
        let server = try LyingServer { _, _ in ([.init(bytes: [97], size: 1 << 40)], true) }
        #expect(await examine(server) != nil)
    }
}
