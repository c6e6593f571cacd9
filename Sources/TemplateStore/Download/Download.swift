// SPDX-License-Identifier: Apache-2.0

import FileTree
import Glibc
import LXCCore
import Logging

/// Downloads an archive from a web server into a directory, across interruptions of the network, the server and this
/// program.
///
/// The directory is the whole state: each try continues with the data the one before left there, in this program or
/// another.
struct Download: Sendable {
    /// A download that has ended.
    struct Result: Sendable {
        /// Whether part of the file was there from before a try.
        var isResumed: Bool
        /// Whether the file was seen to be whole: by a length, or by what marks the end of a body.
        var isEndKnown: Bool
    }

    /// The result of a try.
    private enum Outcome: Sendable {
        case complete(isEndKnown: Bool)
        case interrupted(Interruption)
    }

    let address: WebAddress
    let options: DownloadOptions
    /// The maximum size in bytes.
    let maximumBytes: UInt64
    /// Holds the state; used by one download at a time.
    let directory: String
    let logger: Logger
    let progress: ProgressHandler?

    /// The complete file.
    var file: String { "\(directory)/\(PartialDownload.fileName)" }

    /// Runs to the end.
    ///
    /// - Throws: `LXCError` `notFound`, `permissionDenied`, `unavailable`, `unsafe`, `limitExceeded`, `corrupt`, `io`;
    ///   `CancellationError`. Resumable data is kept after a cancellation, and when the server stays unreachable.
    func run() async throws -> Result {
        // A thread of its own: a download takes longer than any other work on the shared ones.
        let pool = BlockingPool(threads: 1)
        let deadline = ContinuousClock.now + options.timeLimit
        var (failures, furthest, isResumed) = (0, UInt64(0), false)
        while true {
            let (outcome, start, end) = try await pool.run { cancellation in
                Self.blockBrokenPipes()
                return try attempt(until: deadline, cancellation)
            }
            isResumed = isResumed || start > 0
            let interruption: Interruption
            switch outcome {
            case .complete(let isEndKnown): return Result(isResumed: isResumed, isEndKnown: isEndKnown)
            case .interrupted(let reason): interruption = reason
            }
            failures = end > max(furthest, start) ? 1 : failures + 1
            furthest = max(furthest, end)
            try await wait(after: failures, interruption, until: deadline)
        }
    }

    /// Whether there is a part that a server can be asked to complete.
    func isResumable(pool: BlockingPool) async throws -> Bool {
        try await pool.run { _ in try PartialDownload(in: directory, of: address).isResumable }
    }

    private func wait(
        after failures: Int, _ interruption: Interruption, until deadline: ContinuousClock.Instant
    ) async throws {
        guard failures <= options.retries else {
            throw LXCError(
                .unavailable,
                "cannot get \(address.shown): \(interruption.reason); tried \(failures) times without coming further")
        }
        let delay = RetryPolicy(base: options.retryDelay).delay(before: failures, asked: interruption.wait)
        // `unavailable`, so that what there is of the download is kept for the next.
        guard ContinuousClock.now + delay < deadline else {
            throw LXCError(
                .unavailable,
                "cannot get \(address.shown) within \(options.timeLimit): \(interruption.reason); register it again to go "
                    + "on from there, or allow it more time")
        }
        logger.info(
            "a download was interrupted and will be resumed",
            metadata: [
                "source": "\(address.shown)", "reason": "\(interruption.reason)", "failures": "\(failures)",
                "delay": "\(delay)",
            ])
        try await Task.sleep(for: delay)
    }

    /// OpenSSL writes to sockets without MSG_NOSIGNAL. The thread is the download's own, and pending signals end with
    /// it.
    private static func blockBrokenPipes() {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// One try, with the position it began and ended at.
    private func attempt(
        until deadline: ContinuousClock.Instant, _ cancellation: Cancellation
    ) throws -> (Outcome, start: UInt64, end: UInt64) {
        let partial = try PartialDownload(in: directory, of: address)
        let start = partial.size
        do {
            try fetch(partial, until: deadline, cancellation)
            return (.complete(isEndKnown: partial.isEndKnown), start, partial.size)
        } catch let interruption as Interruption {
            return (.interrupted(interruption), start, partial.size)
        }
    }

    private func fetch(
        _ partial: PartialDownload, until deadline: ContinuousClock.Instant, _ cancellation: Cancellation
    ) throws {
        var target = address
        for _ in 0...max(0, options.maximumRedirects) {
            let receiver = DownloadReceiver(partial, target, maximumBytes: maximumBytes, logger, progress)
            let request = try WebRequest(
                target, fields: partial.requestFields, options: options, receiver: receiver)
            let head = try request.perform(until: deadline, cancellation)
            switch head.status {
            case 200, 206:
                guard try partial.finish() else {
                    throw Interruption(reason: "the server sent another length than it said")
                }
                receiver.finish()
                return
            case 301, 302, 303, 307, 308:
                guard let location = head["location"] else { throw Self.refusal(head, target) }
                target = try target.redirected(to: location)
                logger.debug("a download is redirected", metadata: ["target": "\(target.shown)"])
            case 416:
                // There is less than what we have: another copy, from a server that does not know If-Range.
                try partial.discard()
                throw Interruption(reason: "the server's copy has changed")
            case 408, 429, 500...599:
                let wait = RetryPolicy.wait(head["retry-after"])
                throw Interruption(reason: "the server answers with the status \(head.status)", wait: wait)
            default: throw Self.refusal(head, target)
            }
        }
        throw LXCError(
            .limitExceeded, "\(address.shown) leads through more than \(options.maximumRedirects) redirects")
    }

    private static func refusal(_ head: ResponseHead, _ target: WebAddress) -> LXCError {
        let code: LXCError.Code =
            switch head.status {
            case 404, 410: .notFound
            case 401, 403, 407: .permissionDenied
            default: .unavailable
            }
        return LXCError(code, "cannot get \(target.shown): the server answers with the status \(head.status)")
    }
}

/// Puts a response where it belongs.
private final class DownloadReceiver: ResponseReceiver {
    private let partial: PartialDownload
    private let target: WebAddress
    private let maximumBytes: UInt64
    private let logger: Logger
    private var reporter: ProgressReporter

    init(
        _ partial: PartialDownload, _ target: WebAddress, maximumBytes: UInt64, _ logger: Logger,
        _ progress: ProgressHandler?
    ) {
        self.partial = partial
        self.target = target
        self.maximumBytes = maximumBytes
        self.logger = logger
        reporter = ProgressReporter(progress)
    }

    func begin(_ head: ResponseHead) throws -> Bool {
        let metadata: Logger.Metadata = ["source": "\(target.shown)", "offset": "\(partial.offset)"]
        switch head.status {
        case 200:
            logger.info("a download begins", metadata: ["source": "\(target.shown)"])
            try partial.begin(head)
        case 206:
            guard try partial.resume(head) else {
                try partial.discard()
                throw Interruption(reason: "the server sent another part than was asked for")
            }
            logger.info("a download is resumed", metadata: metadata)
        default: return false
        }
        if let length = partial.record?.length, length > maximumBytes { throw excess() }
        return true
    }

    func take(_ bytes: UnsafeRawBufferPointer) throws {
        guard partial.size + UInt64(bytes.count) <= maximumBytes else { throw excess() }
        try partial.append(bytes)
        reporter.report(position)
    }

    /// Reports the end.
    func finish() { reporter.finish(position) }

    private var position: TransferProgress {
        TransferProgress(
            transferred: ByteCount(partial.size), total: partial.record?.length.map { ByteCount($0) })
    }

    private func excess() -> LXCError {
        LXCError(
            .limitExceeded, "\(target.shown) has more than \(ByteCount(maximumBytes)); raise the maximum size if it may"
        )
    }
}
