import CZlib
import FileTree
import LXCCore

/// The contents of a gzip file, all its members one after the other. zlib checks every member's CRC and length.
final class GzipStream: ByteStream {
    /// Asks zlib for a gzip header and trailer, both checked, and the largest window.
    private static let gzipWindow: CInt = 31

    private let input: FileStream
    private let shown: String
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
    private let state = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private var pending = UnsafeRawBufferPointer(start: nil, count: 0)
    private var position = Position.inMember

    private enum Position { case inMember, betweenMembers, atEnd }

    /// Takes the compressed file.
    init(_ input: FileStream, _ shown: String) throws {
        self.input = input
        self.shown = shown
        state.initialize(to: z_stream())
        // The macro for this call does not reach Swift.
        let status = inflateInit2_(state, Self.gzipWindow, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
        guard status == Z_OK else {
            throw LXCError(.io, "zlib cannot be set up to read \(shown)")
        }
    }

    deinit {
        inflateEnd(state)
        state.deallocate()
        buffer.deallocate()
    }

    var bytesRead: UInt64 { input.bytesRead }

    func next() throws -> UnsafeRawBufferPointer {
        while true {
            switch position {
            case .atEnd: return UnsafeRawBufferPointer(start: nil, count: 0)
            case .betweenMembers: try startMember()
            case .inMember:
                let bytes = try inflateSome()
                if !bytes.isEmpty { return bytes }
            }
        }
    }

    /// Looks for another member. Zeros may follow the last one, as tapes and disks pad files; nothing else may.
    private func startMember() throws {
        if pending.isEmpty { pending = try input.next() }
        guard let first = pending.first else {
            position = .atEnd
            return
        }
        if first != 0 {
            guard inflateReset(state) == Z_OK else { throw LXCError(.io, "zlib cannot go on with \(shown)") }
            position = .inMember
            return
        }
        while !pending.isEmpty {
            guard pending.isZero else { throw damage("bytes that are no gzip data follow its end") }
            pending = try input.next()
        }
        position = .atEnd
    }

    private func inflateSome() throws -> UnsafeRawBufferPointer {
        if pending.isEmpty {
            pending = try input.next()
            if pending.isEmpty { throw damage("it ends in the middle") }
        }
        state.pointee.next_in = UnsafeMutablePointer(
            mutating: pending.baseAddress?.assumingMemoryBound(to: UInt8.self))
        state.pointee.avail_in = UInt32(pending.count)
        state.pointee.next_out = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
        state.pointee.avail_out = UInt32(buffer.count)
        let result = inflate(state, Z_NO_FLUSH)
        pending = UnsafeRawBufferPointer(rebasing: pending[(pending.count - Int(state.pointee.avail_in))...])
        switch result {
        case Z_OK: break
        case Z_STREAM_END: position = .betweenMembers
        default:
            throw damage(state.pointee.msg.map { String(cString: $0).escapedForDisplay } ?? "zlib error \(result)")
        }
        return UnsafeRawBufferPointer(rebasing: buffer[..<(buffer.count - Int(state.pointee.avail_out))])
    }

    private func damage(_ why: String) -> LXCError {
        LXCError(.corrupt, "the gzip file \(shown) is damaged: \(why); get it again")
    }
}
