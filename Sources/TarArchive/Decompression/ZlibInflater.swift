// SPDX-License-Identifier: Apache-2.0

import CZlib

/// zlib, on every host.
final class ZlibInflater: Inflater {
    /// Asks zlib for the largest window, and for no header or trailer.
    private static let window: CInt = -15

    private let state = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)

    /// Nil when there is no memory.
    init?() {
        state.initialize(to: z_stream())
        // The macro for this call does not reach Swift.
        guard inflateInit2_(state, Self.window, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size)) == Z_OK else {
            return nil
        }
    }

    deinit {
        inflateEnd(state)
        state.deallocate()
    }

    func reset() -> Bool { inflateReset(state) == Z_OK }

    func inflate(
        _ input: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer
    ) throws(InflaterDamage) -> InflaterStep {
        state.pointee.next_in = UnsafeMutablePointer(mutating: input.bytes)
        state.pointee.avail_in = UInt32(input.count)
        state.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
        state.pointee.avail_out = UInt32(room.count)
        let result = CZlib.inflate(state, Z_NO_FLUSH)
        // Z_BUF_ERROR means that there was nothing to do.
        guard result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR else {
            throw InflaterDamage(why: state.pointee.msg.map { String(cString: $0) } ?? "zlib error \(result)")
        }
        return InflaterStep(
            consumed: input.count - Int(state.pointee.avail_in), produced: room.count - Int(state.pointee.avail_out),
            isComplete: result == Z_STREAM_END)
    }

    func checksum(_ crc: UInt32, _ bytes: UnsafeRawBufferPointer) -> UInt32 {
        UInt32(truncatingIfNeeded: crc32_z(UInt(crc), bytes.bytes, bytes.count))
    }
}
