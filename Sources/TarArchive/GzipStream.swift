import CZlib
import LXCCore

/// The contents of a gzip file: any number of members, each checked against its CRC and length.
///
/// libarchive reads gzip too, but looks at neither, so damage would pass unnoticed.
final class GzipStream: ByteStream {
    private enum State { case member, betweenMembers, padding, ended }

    private static let blockSize = 256 << 10
    /// What asks zlib for a gzip header and trailer, with the largest window.
    private static let gzipWindow: CInt = 31

    private let file: FileStream
    private let block = UnsafeMutableRawBufferPointer.allocate(byteCount: GzipStream.blockSize, alignment: 16)
    /// On the heap because zlib remembers the address.
    private let inflater = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private var state = State.member

    init(_ file: FileStream) throws {
        self.file = file
        inflater.initialize(to: z_stream())
        let status = inflateInit2_(
            inflater, Self.gzipWindow, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
        guard status == Z_OK else { throw LXCError(.io, "cannot set up zlib for the archive \(file.name)") }
    }

    deinit {
        inflateEnd(inflater)
        inflater.deallocate()
        block.deallocate()
    }

    func next() throws -> UnsafeRawBufferPointer {
        inflater.pointee.next_out = block.bindMemory(to: UInt8.self).baseAddress
        inflater.pointee.avail_out = UInt32(block.count)
        while state != .ended, inflater.pointee.avail_out == UInt32(block.count) {
            if inflater.pointee.avail_in == 0, try !refill() { try end() }
            switch state {
            case .member: try inflateMember()
            case .betweenMembers: try startMember()
            case .padding: try skipPadding()
            case .ended: break
            }
        }
        return UnsafeRawBufferPointer(rebasing: block[..<(block.count - Int(inflater.pointee.avail_out))])
    }

    private func refill() throws -> Bool {
        let input = try file.next()
        // zlib's type has no const; it does not write there.
        inflater.pointee.next_in = UnsafeMutablePointer(mutating: input.bindMemory(to: UInt8.self).baseAddress)
        inflater.pointee.avail_in = UInt32(input.count)
        return !input.isEmpty
    }

    private func end() throws {
        guard state != .member else { throw file.corrupt("is truncated: its gzip data ends too early") }
        state = .ended
    }

    private func inflateMember() throws {
        switch inflate(inflater, Z_NO_FLUSH) {
        case Z_OK: break
        case Z_STREAM_END: state = .betweenMembers
        default:
            let reason = inflater.pointee.msg.map { String(cString: $0) } ?? "no valid stream"
            throw file.corrupt("has damaged gzip data: \(reason)")
        }
    }

    /// After a member comes another one, zeros to the end as tapes and disk images have them, or the end.
    private func startMember() throws {
        guard inflater.pointee.next_in.pointee != 0 else {
            state = .padding
            return
        }
        guard inflater.pointee.next_in.pointee == 0x1f, inflateReset(inflater) == Z_OK else { throw garbage() }
        state = .member
    }

    private func skipPadding() throws {
        let rest = UnsafeBufferPointer(start: inflater.pointee.next_in, count: Int(inflater.pointee.avail_in))
        guard rest.allSatisfy({ $0 == 0 }) else { throw garbage() }
        inflater.pointee.avail_in = 0
    }

    private func garbage() -> LXCError { file.corrupt("has something other than gzip data after its gzip data") }
}
