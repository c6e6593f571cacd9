// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import Glibc
import LXCCore
import TarArchive
import TestSupport
import Testing

/// The thread archives are read by.
@Suite(.limited)
struct ReadAheadTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// Threads of this process that read archives, and those liblzma starts from them. Tests beside this one have some
    /// too, so only those that are new between two looks are counted.
    private static var threads: Set<String> {
        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
        return Set(
            tasks.filter {
                (try? String(contentsOfFile: "/proc/self/task/\($0)/comm", encoding: .utf8)) == "lxc-archive\n"
            })
    }

    /// The threads that are there now and were not before. A list made while threads end may miss some.
    private func newThreads(since before: Set<String>) async throws -> Set<String> {
        while true {
            let new = Self.threads.subtracting(before)
            if !new.isEmpty { return new }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Waits until the threads have ended; the test's time limit ends what never does.
    private func waitForEnd(of threads: Set<String>) async throws {
        for thread in threads {
            while access("/proc/self/task/\(thread)", F_OK) == 0 { try await Task.sleep(for: .milliseconds(5)) }
        }
    }

    /// An archive of much more than is read ahead.
    private func large(_ command: String) throws -> String {
        try scratch.shell("head -c 10M /dev/urandom > random; tar -cf - random | \(command) > archive")
        return scratch("archive")
    }

    @Test(arguments: ["cat", "gzip -1", "xz -0 --block-size=1MiB", "zstd -q -1", "lz4 -q"])
    func readerThatGoesAwayEarlyTakesTheThreadAlong(command: String) async throws {
        let archive = TarArchive(try large(command))
        let before = Self.threads
        var source: (any TreeSource)? = try archive.openForReading(TreeOpening())
        #expect(try source?.next()?.path.description == "random")
        #expect(try source?.nextPiece()?.offset == 0)
        // The archive is longer than what is read ahead: its thread waits for room now, and cannot have ended.
        let new = try await newThreads(since: before)
        source = nil
        try await waitForEnd(of: new)
    }

    @Test func threadEndsWithTheArchive() async throws {
        let archive = TarArchive(try large("gzip -1"))
        let before = Self.threads
        let source = try archive.openForReading(TreeOpening())
        _ = try source.next()
        let new = try await newThreads(since: before)
        while try source.next() != nil {}
        try await waitForEnd(of: new)
        #expect(source.position.read == source.position.total)
    }

    @Test func nothingIsReadBeforeItIsAskedFor() throws {
        let source = try TarArchive(large("cat")).openForReading(TreeOpening())
        #expect(source.position.read == 0)
    }

    /// What was read ahead does not count for the position, nor for the expansion ratio.
    @Test func positionIsThatOfTheReader() throws {
        let source = try TarArchive(large("cat")).openForReading(TreeOpening())
        var taken: UInt64 = 0
        while try source.next() != nil {
            while let piece = try source.nextPiece() {
                taken += UInt64(piece.bytes.count)
                #expect(source.position.read >= taken)
                #expect(source.position.read <= taken + 2 << 20)
            }
        }
    }

    @Test(arguments: ["gzip -1", "xz -0 --block-size=1MiB", "zstd -q -1 --check", "bzip2 -1"])
    func damageArrivesAfterWhatComesBeforeIt(command: String) throws {
        try scratch.shell(
            """
            for file in 1 2 3 4 5 6 7 8; do head -c 1M /dev/urandom > $file; done
            tar -cf - 1 2 3 4 5 6 7 8 | \(command) > archive; truncate -s -1500K archive
            """)
        let source = try TarArchive(scratch("archive")).openForReading(TreeOpening())
        var entries = 0
        expect(.corrupt) {
            while try source.next() != nil { entries += 1 }
        }
        #expect(entries >= 5)
        #expect(entries < 8)
        // It stays what it is.
        expect(.corrupt) { _ = try source.next() }
    }
}
