// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

/// The contents of a compressed file, all its members one after the other.
///
/// Zeros may follow the last one, as tapes and disks pad files; nothing else may.
final class CompressedStream: ByteStream {
    private enum Position { case inMember, betweenMembers, atEnd }

    private let input: FileStream
    private let decoder: any MemberDecoder
    private let problem: DecoderProblem
    private let longestSilence: UInt64
    private let maker = SharedBytes.Maker()
    private var pending = SharedBytes.empty
    private var isLast = false
    private var position = Position.inMember
    private var silence: UInt64 = 0
    /// Whether the decoder did nothing when it was last called.
    private var hasStalled = false

    /// Creates a stream of a decoder's output for a compressed file. `longestSilence` is the number of its bytes that
    /// may yield no contents.
    init(
        _ input: FileStream, _ decoder: any MemberDecoder, _ problem: DecoderProblem, longestSilence: UInt64
    ) throws {
        self.longestSilence = longestSilence
        self.input = input
        self.decoder = decoder
        self.problem = problem
        try decoder.begin()
    }

    var bytesRead: UInt64 { input.bytesRead }

    func next() throws -> SharedBytes {
        while true {
            switch position {
            case .atEnd: return .empty
            case .betweenMembers: try startMember()
            case .inMember:
                let bytes = try decodeSome()
                if !bytes.isEmpty { return bytes }
            }
        }
    }

    private func refill() throws {
        guard pending.isEmpty, !isLast else { return }
        pending = try input.next()
        isLast = pending.isEmpty
    }

    private func startMember() throws {
        var zeros: UInt64 = 0
        while true {
            try refill()
            guard !pending.isEmpty else {
                position = .atEnd
                return
            }
            let count = pending.withUnsafeBytes { $0.isZero ? $0.count : $0.prefix { $0 == 0 }.count }
            try drop(count)
            zeros += UInt64(count)
            if !pending.isEmpty { break }
        }
        let isMember =
            switch decoder.sequel {
            case .nothing: false
            case .member: zeros == 0
            case .paddedMember(let unit): zeros.isMultiple(of: unit)
            }
        guard isMember else { throw problem.damage("bytes that are no \(problem.format.rawValue) data follow its end") }
        try decoder.begin()
        position = .inMember
    }

    private func decodeSome() throws -> SharedBytes {
        try refill()
        let bytes = try maker.make(upTo: SharedBytes.Maker.blockSize) { room in
            let step = try pending.withUnsafeBytes { try decoder.decode($0, isLast: isLast, into: room) }
            if step.isComplete { position = .betweenMembers }
            try drop(step.consumed)
            try checkProgress(step)
            return step.produced
        }
        if !bytes.isEmpty { silence = 0 }
        return bytes
    }

    /// Decoders with threads may do nothing once and go on the next time.
    private func checkProgress(_ step: DecoderStep) throws {
        let stands = step.consumed == 0 && step.produced == 0 && !step.isComplete
        guard stands, hasStalled else {
            hasStalled = stands
            return
        }
        throw problem.damage(isLast ? "it ends in the middle" : "it cannot be decoded any further")
    }

    private func drop(_ count: Int) throws {
        pending = pending.dropFirst(count)
        silence += UInt64(count)
        guard silence <= longestSilence else {
            throw LXCError(
                .limitExceeded, "\(problem.shown) is refused: more than \(longestSilence) bytes of it hold nothing")
        }
    }
}
