// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// A server that speaks just enough of MOUNT and NFSv3 to be listed, and says whatever a test wants.
final class LyingServer: Sendable {
    /// A name it lists.
    struct Name: Sendable {
        var bytes: [UInt8]
        var type: UInt32 = 1
        var handle: [UInt8] = [1, 2, 3, 4]
        var size: UInt64 = 0
    }

    /// What it says of a directory, for the cookie that is asked from.
    typealias Listing = @Sendable (_ handle: [UInt8], _ cookie: UInt64) -> (names: [Name], isEnd: Bool)

    /// The port of both services on the loopback interface.
    let port: UInt16
    private let listener: CInt
    private let listing: Listing

    /// `refusing` gives the status to answer a listing with, where it is to be refused.
    init(
        refusing: @escaping @Sendable (_ handle: [UInt8], _ cookie: UInt64) -> UInt32? = { _, _ in nil },
        listing: @escaping Listing
    ) throws {
        self.listing = listing
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 16) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard isBound else { throw CocoaError(.fileReadUnknown) }
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread {
            while case let client = accept(listener, nil, nil), client >= 0 {
                Thread.detachNewThread {
                    Self.serve(client, refusing, listing)
                    close(client)
                }
            }
            close(listener)
        }
    }

    deinit { shutdown(listener, Int32(SHUT_RDWR)) }

    var url: String { "nfs://127.0.0.1/export?nfsport=\(port)&mountport=\(port)" }

    private static func serve(
        _ client: CInt, _ refusing: @Sendable ([UInt8], UInt64) -> UInt32?, _ listing: Listing
    ) {
        while let mark = receive(4, client), var call = receive(Int(number(mark) & 0x7FFF_FFFF), client)?[...] {
            let header = (0..<6).map { _ in take(&call) }
            for _ in 0..<2 {
                // Credentials and verifier.
                _ = take(&call)
                _ = takeOpaque(&call)
            }
            let result = result(program: header[3], procedure: header[5], &call, refusing, listing)
            let reply = words(header[0], 1, 0, 0, 0, 0) + result
            let bytes = words(UInt32(reply.count) | 0x8000_0000) + reply
            guard send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else { return }
        }
    }

    private static func result(
        program: UInt32, procedure: UInt32, _ call: inout ArraySlice<UInt8>,
        _ refusing: ([UInt8], UInt64) -> UInt32?, _ listing: Listing
    ) -> [UInt8] {
        switch (program, procedure) {
        case (100_005, 1): return words(0) + opaque([0]) + words(1, 1)
        case (100_003, 1): return words(0) + attributes(Name(bytes: [], type: 2), fileID: 1)
        case (100_003, 17):
            let handle = takeOpaque(&call)
            let (high, low) = (take(&call), take(&call))
            let cookie = UInt64(high) << 32 | UInt64(low)
            if let status = refusing(handle, cookie) { return words(status, 0) }
            let (names, isEnd) = listing(handle, cookie)
            var bytes = words(0, 0, 0, 0)
            for (index, name) in names.enumerated() {
                let fileID = cookie + UInt64(index) + 2
                bytes += words(1) + long(fileID) + opaque(name.bytes) + long(fileID)
                bytes += words(1) + attributes(name, fileID: fileID) + words(1) + opaque(name.handle)
            }
            return bytes + words(0, isEnd ? 1 : 0)
        case (100_003, 19):
            return words(0, 0, 65_536, 65_536, 4_096, 65_536, 65_536, 4_096, 65_536) + long(1 << 40) + long(1)
                + words(27)
        case (_, 0): return []
        default: return words(10_004)
        }
    }

    private static func attributes(_ name: Name, fileID: UInt64) -> [UInt8] {
        words(name.type, 0o755, 1, 0, 0) + long(name.size) + long(0) + long(0) + long(1) + long(fileID)
            + long(0) + long(0) + long(0)
    }

    // MARK: XDR

    private static func receive(_ count: Int, _ client: CInt) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        return recv(client, &bytes, count, Int32(MSG_WAITALL)) == count ? bytes : nil
    }

    private static func number(_ bytes: some Sequence<UInt8>) -> UInt32 { bytes.reduce(0) { $0 << 8 | UInt32($1) } }

    private static func take(_ bytes: inout ArraySlice<UInt8>) -> UInt32 {
        defer { bytes = bytes.dropFirst(4) }
        return number(bytes.prefix(4))
    }

    private static func takeOpaque(_ bytes: inout ArraySlice<UInt8>) -> [UInt8] {
        let count = Int(take(&bytes))
        defer { bytes = bytes.dropFirst((count + 3) / 4 * 4) }
        return Array(bytes.prefix(count))
    }

    private static func words(_ numbers: UInt32...) -> [UInt8] {
        numbers.flatMap { number in withUnsafeBytes(of: number.bigEndian) { Array($0) } }
    }

    private static func long(_ number: UInt64) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }

    private static func opaque(_ bytes: [UInt8]) -> [UInt8] {
        words(UInt32(bytes.count)) + bytes + [UInt8](repeating: 0, count: (4 - bytes.count % 4) % 4)
    }
}
