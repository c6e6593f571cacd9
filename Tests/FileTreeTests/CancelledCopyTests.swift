// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LXCCore
import Synchronization
import TarArchive
import TestSupport
import Testing

/// Copies cancelled anywhere: the error says so, and nothing is left.
@Suite(.tags(.host), .limited, .host(.root))
struct CancelledCopyTests {
    private static let repetitions = 12

    let scratch: ScratchDirectory

    init() throws {
        scratch = try ScratchDirectory()
        // Some hundred entries of every kind that takes a different way: small and large files, links, directories.
        try scratch.shell(
            """
            mkdir source; cd source
            for d in $(seq 12); do
                mkdir -p $d/deep/er; for f in $(seq 40); do head -c $((f * 200)) /dev/zero | tr '\\\\0' x > $d/$f; done
                ln -s 1 $d/soft; ln $d/1 $d/deep/hard; head -c 3M /dev/urandom > $d/deep/er/large
            done
            tar -cf ../source.tar .; tar -cf - . | gzip -1 > ../source.tar.gz
            """)
    }

    private static let names = "source\nsource.tar\nsource.tar.gz"

    /// Copies, and cancels the copying task when `step` entries and pieces were asked for.
    private func copy(
        _ origin: any TreeOrigin, to destination: any TreeDestination, cancelledAt step: Int
    ) async -> (any Error)? {
        let running = Mutex<Task<Void, any Error>?>(nil)
        let counted = CountingOrigin(origin: origin) { if $0 == step { running.withLock { $0?.cancel() } } }
        let task = running.withLock { running in
            let task = Task { _ = try await TreeCopy.run(from: counted, to: destination) }
            running = task
            return task
        }
        return await failure(of: task)
    }

    /// From a thread: tasks are late where tests keep all of their threads busy.
    private func cancel(_ task: Task<Void, any Error>, after delay: Duration) {
        Thread.detachNewThread {
            Thread.sleep(forTimeInterval: delay / .seconds(1))
            task.cancel()
        }
    }

    private func failure(of task: Task<Void, any Error>) async -> (any Error)? {
        switch await task.result {
        case .success: nil
        case .failure(let error): error
        }
    }

    @Test(arguments: ["source.tar", "source.tar.gz", "source"]) func atAnyEntryOrPiece(name: String) async throws {
        let origin: any TreeOrigin = name == "source" ? scratch.tree(name) : TarArchive(scratch(name))
        let counter = Mutex(0)
        let counted = CountingOrigin(origin: origin) { count in counter.withLock { $0 = count } }
        let whole = try await TreeCopy.examine(counted)
        let steps = counter.withLock { $0 }
        try #require(steps > 1_000)
        var random = SeededRandom(seed: 1)
        for repetition in 0..<Self.repetitions {
            // The last call is among them: it finds the end.
            let step = repetition == 0 ? steps : Int.random(in: 1...steps, using: &random)
            let failure = await copy(origin, to: scratch.tree("clone"), cancelledAt: step)
            #expect(failure is CancellationError, "step \(step) of \(steps): \(String(describing: failure))")
            #expect(try scratch.shell("ls -A") == Self.names, "step \(step) of \(steps)")
        }
        let summary = try await TreeCopy.run(from: origin, to: scratch.tree("clone"))
        #expect(summary.digest == whole.digest)
    }

    /// Not held up by anything between the two ends, as programs run them.
    @Test(arguments: ["source.tar", "source.tar.gz", "source"], [true, false])
    func atAnyTime(name: String, digest: Bool) async throws {
        let origin: any TreeOrigin = name == "source" ? scratch.tree(name) : TarArchive(scratch(name))
        var options = TreeCopyOptions()
        options.computesDigest = digest
        options.durable = false
        let start = ContinuousClock.now
        _ = try await TreeCopy.run(from: origin, to: scratch.tree("clone"), options: options)
        let whole = ContinuousClock.now - start
        try await scratch.tree("clone").remove()
        let expected = try await TreeCopy.examine(origin).digest
        var random = SeededRandom(seed: 2)
        var cancelled = 0
        for repetition in 0..<(Self.repetitions / 2) {
            // The first is cancelled before it begins: however busy the machine is, one of them is not too late.
            let delay = repetition == 0 ? .zero : whole * Double.random(in: 0..<1, using: &random)
            let task = Task { [options] in
                _ = try await TreeCopy.run(from: origin, to: scratch.tree("clone"), options: options)
            }
            if delay == .zero { task.cancel() } else { cancel(task, after: delay) }
            if let failure = await failure(of: task) {
                #expect(failure is CancellationError, "after \(delay): \(failure)")
                #expect(try scratch.shell("ls -A") == Self.names, "after \(delay)")
                cancelled += 1
            } else {
                // Too late: then it is whole.
                #expect(try await TreeCopy.examine(scratch.tree("clone")).digest == expected)
                try await scratch.tree("clone").remove()
            }
        }
        #expect(cancelled > 0)
    }

    /// Whatever the destination is, it is told to abandon, and not to finish.
    @Test func anyDestinationIsTold() async throws {
        var random = SeededRandom(seed: 3)
        for _ in 0..<Self.repetitions {
            let step = Int.random(in: 1...900, using: &random)
            let log = Mutex<[String]>([])
            let destination = LoggingDestination { line in log.withLock { $0.append(line) } }
            let failure = await copy(scratch.tree("source"), to: destination, cancelledAt: step)
            #expect(failure is CancellationError)
            #expect(log.withLock { $0 } == ["open", "abandon"])
        }
    }
}

/// Another origin, counting how often it is asked for an entry or a piece.
private struct CountingOrigin: TreeOrigin {
    let origin: any TreeOrigin
    let step: @Sendable (Int) -> Void

    var description: String { origin.description }

    func openForReading(_ opening: TreeOpening) throws -> any TreeSource {
        Source(try origin.openForReading(opening), step)
    }

    private final class Source: TreeSource {
        private let source: any TreeSource
        private let step: @Sendable (Int) -> Void
        private var count = 0

        init(_ source: any TreeSource, _ step: @escaping @Sendable (Int) -> Void) {
            self.source = source
            self.step = step
        }

        var position: (read: UInt64, total: UInt64?) { source.position }
        var losses: TreeLosses { source.losses }

        func next() throws -> TreeEntry? {
            advance()
            return try source.next()
        }

        func nextPiece() throws -> TreePiece? {
            advance()
            return try source.nextPiece()
        }

        private func advance() {
            count += 1
            step(count)
        }
    }
}

/// A destination that keeps nothing and tells how it was opened and ended.
private struct LoggingDestination: TreeDestination {
    let log: @Sendable (String) -> Void

    var description: String { "log" }

    func openForWriting(_ opening: TreeOpening) throws -> any TreeSink {
        log("open")
        return Sink(log)
    }

    private final class Sink: TreeSink {
        private let log: @Sendable (String) -> Void
        let losses = TreeLosses()
        let strategy = "none"

        init(_ log: @escaping @Sendable (String) -> Void) { self.log = log }

        func begin(_ entry: TreeEntry, isNew: Bool) {}
        func write(_ piece: TreePiece) {}
        func end() {}
        func finish() { log("finish") }
        func abandon() { log("abandon") }
    }
}
