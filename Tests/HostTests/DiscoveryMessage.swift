// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import LXCHypervisor
import TestSupport
import Testing

/// A message of neighbour discovery (RFC 4861) in a frame.
struct DiscoveryMessage {
    private let ends: [UInt8]
    private let addresses: [UInt8]
    private let message: [UInt8]

    /// Takes what comes before and behind the checksum.
    init(
        _ type: UInt8, _ body: [UInt8], from: [UInt8], _ source: String, to: [UInt8], _ destination: String
    ) {
        ends = to + from
        addresses = Self.bytes(source) + Self.bytes(destination)
        var message: [UInt8] = [type, 0, 0, 0] + body
        let sum = Self.checksum(addresses + [0, 0, 0, UInt8(message.count), 0, 0, 0, 58] + message)
        message[2] = UInt8(sum >> 8)
        message[3] = UInt8(sum & 0xFF)
        self.message = message
    }

    /// The whole frame, behind extension headers of eight bytes: 0 hop-by-hop options, 60 destination options, 44 a
    /// fragment that is the only one.
    func frame(behind headers: [UInt8] = [], isTagged: Bool = false) -> [UInt8] {
        var payload = message
        var next: UInt8 = 58
        for header in headers.reversed() {
            payload = (header == 44 ? [next, 0, 0, 0, 0, 0, 0, 1] : Self.options(before: next)) + payload
            next = header
        }
        return frame(payload, next, isTagged: isTagged)
    }

    /// Two frames: in the first is but a header of options, in the second the message.
    var fragments: [[UInt8]] {
        [
            frame([60, 0, 0, 1, 0, 0, 0, 2] + Self.options(before: 58), 44),
            frame([60, 0, 0, 8, 0, 0, 0, 2] + message, 44),
        ]
    }

    private func frame(_ payload: [UInt8], _ next: UInt8, isTagged: Bool = false) -> [UInt8] {
        ends + (isTagged ? [0x81, 0, 0, 0] : []) + [0x86, 0xDD]
            + [0x60, 0, 0, 0, 0, UInt8(payload.count), next, 255] + addresses + payload
    }

    /// Six bytes of padding fill a header of options.
    private static func options(before next: UInt8) -> [UInt8] { [next, 0, 1, 4, 0, 0, 0, 0] }

    static func bytes(_ address: String) -> [UInt8] { (try? IPNetwork(parsing: address))?.bytes ?? [] }

    private static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[index]) << 8 | UInt32(bytes[index + 1])
        }
        while sum >> 16 != 0 { sum = sum & 0xFFFF + sum >> 16 }
        return ~UInt16(sum)
    }

    /// A neighbour advertisement that gives the sender's hardware address for somebody's, to be believed in the place of
    /// what was known.
    static func neighbour(
        from: [UInt8], _ source: String, to: [UInt8], _ destination: String, about target: String
    ) -> Self {
        Self(136, [0x60, 0, 0, 0] + bytes(target) + [2, 1] + from, from: from, source, to: to, destination)
    }

    /// A router advertisement that makes the sender everybody's way out.
    static func router(from: [UInt8], _ source: String, to: [UInt8], _ destination: String) -> Self {
        Self(134, [64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0], from: from, source, to: to, destination)
    }
}

extension [UInt8] {
    var hexadecimal: String { map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }

    /// A frame's bytes from the IPv6 header on: a tag is told apart from the frame when it arrives.
    var beyondEnds: String { Array(dropFirst(self[12] == 0x81 ? 18 : 14)).hexadecimal }
}

extension Inside {
    /// Sends a frame as it is.
    func send(_ frame: [UInt8]) throws {
        let script = """
            import socket, sys
            packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            packets.bind(("eth0", 0))
            for _ in range(3): packets.send(bytes.fromhex(sys.argv[1]))
            """
        try run("/usr/bin/python3", ["-c", script, frame.hexadecimal])
    }

    /// The frames that come to `eth0` while `body` runs, in hexadecimal.
    func arrivals(_ body: () async throws -> Void) async throws -> [String] {
        let path = NSTemporaryDirectory() + "frames-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let script = """
            import socket, sys
            packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            packets.bind(("eth0", 3))
            with open(sys.argv[1], "w", 1) as file:
                print("ready", file=file)
                while True: print(packets.recv(65536).hex(), file=file)
            """
        let listener = try start("/usr/bin/python3", "-c", script, path)
        defer {
            kill(listener.processIdentifier, SIGKILL)
            listener.waitUntilExit()
        }
        let lines = { ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "").split(separator: "\n") }
        #expect(await eventually { !lines().isEmpty })
        try await body()
        return lines().map(String.init)
    }

    /// The bytes of a device's hardware address.
    func address(_ device: String) throws -> [UInt8] {
        let words = try #require(try link(device)).split(separator: " ")
        let place = try #require(words.firstIndex(of: "link/ether"))
        return words[place + 1].split(separator: ":").compactMap { UInt8($0, radix: 16) }
    }
}
