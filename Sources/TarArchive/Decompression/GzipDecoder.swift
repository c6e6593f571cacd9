// SPDX-License-Identifier: Apache-2.0

/// Decodes gzip (RFC 1952): the header and trailer itself, the contents by an ``Inflater``. Which one makes no difference
/// but speed: everything a gzip file is checked by is checked here.
final class GzipDecoder: MemberDecoder {
    private enum Part { case header, contents, trailer }

    private let inflater: any Inflater
    private let problem: DecoderProblem
    private var part = Part.header
    private var header = GzipHeader()
    private var crc: UInt32 = 0
    /// The number of bytes of contents, of which the trailer holds the last 32 bits.
    private var length: UInt32 = 0
    private var trailer: [UInt8] = []

    /// Creates a decoder over an inflate engine; `problem` names the file in errors.
    init(_ engine: GzipEngine, _ problem: DecoderProblem) throws {
        guard let inflater = engine.inflater else { throw problem.trouble("its decoder cannot be set up") }
        self.inflater = inflater
        self.problem = problem
    }

    var sequel: MemberSequel { .member }

    func begin() throws {
        guard inflater.reset() else { throw problem.trouble("its decoder cannot be set up") }
        part = .header
        header = GzipHeader()
        crc = 0
        length = 0
        trailer = []
    }

    func decode(
        _ input: UnsafeRawBufferPointer, isLast: Bool, into room: UnsafeMutableRawBufferPointer
    ) throws -> DecoderStep {
        var step = DecoderStep()
        if part == .header { step.consumed = try readHeader(input) }
        if part == .contents { try inflate(input, room, &step) }
        if part == .trailer {
            let rest = UnsafeRawBufferPointer(rebasing: input[step.consumed...]).prefix(8 - trailer.count)
            trailer += rest
            step.consumed += rest.count
            step.isComplete = trailer.count == 8
            if step.isComplete { try checkTrailer() }
        }
        return step
    }

    /// Returns the number of bytes that belong to the header.
    private func readHeader(_ input: UnsafeRawBufferPointer) throws -> Int {
        for (index, byte) in input.enumerated() {
            do {
                guard try header.take(byte) else { continue }
            } catch {
                throw problem.damage(error.why)
            }
            part = .contents
            return index + 1
        }
        return input.count
    }

    private func inflate(
        _ input: UnsafeRawBufferPointer, _ room: UnsafeMutableRawBufferPointer, _ step: inout DecoderStep
    ) throws {
        let inflated: InflaterStep
        do {
            inflated = try inflater.inflate(UnsafeRawBufferPointer(rebasing: input[step.consumed...]), into: room)
        } catch {
            throw problem.damage(error.why)
        }
        step.consumed += inflated.consumed
        step.produced = inflated.produced
        crc = inflater.checksum(crc, UnsafeRawBufferPointer(rebasing: room[..<inflated.produced]))
        length &+= UInt32(truncatingIfNeeded: inflated.produced)
        guard inflated.isComplete else { return }
        trailer = inflated.readAhead
        part = .trailer
    }

    private func checkTrailer() throws {
        let numbers = trailer.withUnsafeBytes {
            (
                crc: UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self)),
                length: UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
            )
        }
        guard numbers.crc == crc else { throw problem.damage("its checksum does not match") }
        guard numbers.length == length else { throw problem.damage("its length does not match") }
    }
}
