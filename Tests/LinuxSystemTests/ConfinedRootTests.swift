// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import LXCCore
import LinuxSystem
import TestSupport
import Testing

/// Paths of a guest lead nowhere but below its root.
@Suite struct ConfinedRootTests {
    private let directory: String
    private let root: ConfinedRoot

    init() throws {
        directory = NSTemporaryDirectory() + "confined-\(UUID().uuidString)"
        for folder in ["root/etc", "root/run", "outside"] {
            try FileManager.default.createDirectory(atPath: "\(directory)/\(folder)", withIntermediateDirectories: true)
        }
        try Data("secret".utf8).write(to: URL(filePath: "\(directory)/outside/file"))
        root = try ConfinedRoot(path: "\(directory)/root", shown: "the test")
        // Where nothing confines, these tests would write into the host's own /etc.
        try #require(try root.status("/proc/version") == nil)
    }

    private var owner: (user: UInt32, group: UInt32) { (geteuid(), getegid()) }

    private func link(_ target: String, _ name: String) throws {
        try FileManager.default.createSymbolicLink(atPath: "\(directory)/root/\(name)", withDestinationPath: target)
    }

    private func cleanUp() { try? FileManager.default.removeItem(atPath: directory) }

    @Test func linksAndDotsStayInside() throws {
        defer { cleanUp() }
        try link("\(directory)/outside", "etc/absolute")
        try link("../../outside", "etc/relative")
        for path in ["/etc/absolute/file", "/etc/relative/file", "/../outside/file", "../../outside/file"] {
            #expect(try root.read(path, limit: 100) == nil)
        }
        try link("/run", "etc/inside")
        try root.write(Array("hello".utf8), to: "/etc/inside/../../../run/file", owner: owner)
        #expect(try root.read("run/file", limit: 5) == Array("hello".utf8))
        #expect(try root.read("/etc/inside/file", limit: 5) == Array("hello".utf8))
        #expect(throws: LXCError.self) { try root.write([], to: "/etc/absolute/file", owner: owner) }
        #expect(try Data(contentsOf: URL(filePath: "\(directory)/outside/file")) == Data("secret".utf8))
    }

    @Test func aLinkInThePlaceOfAFileIsReplaced() throws {
        defer { cleanUp() }
        try link("\(directory)/outside/file", "etc/resolv.conf")
        #expect(try root.status("/etc/resolv.conf")?.kind == .link)
        try root.write(Array("new".utf8), to: "/etc/resolv.conf", mode: 0o640, owner: owner)
        let status = try #require(try root.status("/etc/resolv.conf"))
        #expect(
            status
                == ConfinedRoot.Status(
                    kind: .file, mode: 0o640, user: owner.user, group: owner.group, size: ByteCount(3)))
        #expect(try Data(contentsOf: URL(filePath: "\(directory)/outside/file")) == Data("secret".utf8))
        #expect(try root.list("/etc") == ["resolv.conf"], "nothing temporary is left")
    }

    @Test func whatIsNoRegularFileIsNotOpened() throws {
        defer { cleanUp() }
        #expect(mkfifo("\(directory)/root/etc/fifo", 0o600) == 0)
        try link("/proc/self/root", "etc/magic")
        try link("loop", "etc/loop")
        for path in ["/etc/fifo", "/etc", "/etc/loop"] {
            #expect(throws: LXCError.self) { try root.read(path, limit: 100) }
        }
        #expect(throws: LXCError.self) { _ = try root.openFile("/etc/\0") }
    }

    @Test func limitsHold() throws {
        defer { cleanUp() }
        try root.write([UInt8](repeating: 1, count: 100_000), to: "/etc/large", owner: owner)
        #expect(try root.read("/etc/large", limit: 100_000)?.count == 100_000)
        expect(.limitExceeded) { try root.read("/etc/large", limit: 99_999) }
        for path in ["", "/", "/etc/..", "."] {
            #expect(throws: LXCError.self) { try root.write([], to: path, owner: owner) }
        }
    }

    /// A guest that swaps a directory for a link outside, again and again, gets nothing of ours out there.
    @Test func aRacingGuestRedirectsNothing() async throws {
        defer { cleanUp() }
        let (inside, swapped) = ("\(directory)/root/etc/dir", "\(directory)/root/etc/link")
        try FileManager.default.createDirectory(atPath: inside, withIntermediateDirectories: true)
        try link("\(directory)/outside", "etc/link")
        let racer = Thread {
            let away = "\(inside).away"
            while !Thread.current.isCancelled {
                for (from, to) in [(inside, away), (swapped, inside), (inside, swapped), (away, inside)] {
                    _ = rename(from, to)
                }
            }
        }
        racer.start()
        var written = 0
        for index in 0..<3000 {
            if (try? root.write(Array("x".utf8), to: "/etc/dir/\(index)", owner: owner)) != nil { written += 1 }
            if let bytes = try? root.read("/etc/dir/file", limit: 100) { Issue.record("read \(bytes)") }
        }
        racer.cancel()
        while !racer.isFinished { usleep(1000) }
        #expect(written > 0)
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(directory)/outside") == ["file"])
    }

    @Test func directoriesAndRemoval() throws {
        defer { cleanUp() }
        try root.makeDirectory("/etc/ssh", mode: 0o700, owner: owner)
        try root.makeDirectory("/etc/ssh", owner: owner)
        #expect(try root.status("/etc/ssh")?.mode == 0o700, "one that is there is left as it is")
        try root.write([1], to: "/etc/ssh/key", mode: 0o600, owner: owner)
        #expect(try root.list("etc") == ["ssh"])
        try root.remove("/etc/ssh/key")
        try root.remove("/etc/ssh/key")
        try root.remove("/nowhere/key")
        #expect(try root.list("/etc/ssh") == [])
        #expect(try root.status("/nowhere") == nil)
    }
}
