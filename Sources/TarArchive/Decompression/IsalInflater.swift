// SPDX-License-Identifier: Apache-2.0

#if ISAL
import CISAL

/// Intel's ISA-L: about twice as fast as zlib.
///
/// It is configured for raw data without checks (`crc_flag` 0, ISAL_DEFLATE): the side that checks differs between its
/// versions.
final class IsalInflater: Inflater {
    private let state = UnsafeMutablePointer<inflate_state>.allocate(capacity: 1)

    init() { isal_inflate_init(state) }

    deinit { state.deallocate() }

    func reset() -> Bool {
        isal_inflate_reset(state)
        return true
    }

    func inflate(
        _ input: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer
    ) throws(InflaterDamage) -> InflaterStep {
        state.pointee.next_in = UnsafeMutablePointer(mutating: input.bytes)
        state.pointee.avail_in = UInt32(input.count)
        state.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
        state.pointee.avail_out = UInt32(room.count)
        let result = isal_inflate(state)
        guard result == ISAL_DECOMP_OK else { throw InflaterDamage(why: Self.message(result)) }
        var step = InflaterStep(
            consumed: input.count - Int(state.pointee.avail_in),
            produced: room.count - Int(state.pointee.avail_out),
            isComplete: state.pointee.block_state == ISAL_BLOCK_FINISH)
        if step.isComplete { step.readAhead = takeReadAhead() }
        return step
    }

    func checksum(_ crc: UInt32, _ bytes: UnsafeRawBufferPointer) -> UInt32 {
        crc32_gzip_refl(crc, bytes.bytes, UInt64(bytes.count))
    }

    /// Input is taken eight bytes at a time. Deflate data ends somewhere in a byte; whole bytes that are left when it
    /// does were not part of it.
    private func takeReadAhead() -> [UInt8] {
        let bits = state.pointee.read_in_length
        let bytes = state.pointee.read_in >> UInt64(bits % 8)
        return (0..<bits / 8).map { UInt8(truncatingIfNeeded: bytes >> UInt64(8 * $0)) }
    }

    private static func message(_ result: CInt) -> String {
        switch result {
        case ISAL_INVALID_BLOCK: "a block is invalid"
        case ISAL_INVALID_SYMBOL: "a symbol is invalid"
        case ISAL_INVALID_LOOKBACK: "a distance is invalid"
        default: "ISA-L error \(result)"
        }
    }
}
#endif
