// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import LXCCore
import Libvirt

/// Files of virtual machines are written by QEMU's guest agent, the way CloudStack's later agents reach system VMs.
extension LibvirtMachines: GuestAgent {
    /// The time limit for one answer of the agent in seconds; it is asked again while there is time.
    private static let answerTime: Int32 = 5
    /// The number of bytes written by one command: a message may have 64 KiB.
    private static let pieceSize = 32 << 10

    /// Waits for the guest's agent, and has it write the file.
    public func writeFile(
        _ contents: [UInt8], to path: String, in guest: GuestName, within limit: Duration
    ) async throws {
        try await awaitAgent(of: guest, within: limit)
        let handle = try await ask(guest, Command("guest-file-open", .init(path: path, mode: "w")))
        do {
            for start in stride(from: 0, to: contents.count, by: Self.pieceSize) {
                let piece = contents[start..<min(start + Self.pieceSize, contents.count)]
                let text = Data(piece).base64EncodedString()
                let written = try await ask(
                    guest, Command("guest-file-write", .init(handle: handle.number, text: text)))
                guard written.count == piece.count else {
                    throw LXCError(.io, "the guest agent of \(guest) wrote a part of \(path.escapedForDisplay) only")
                }
            }
        } catch {
            await withoutCancellation {
                _ = try? await ask(guest, Command("guest-file-close", .init(handle: handle.number)))
            }
            throw error
        }
        _ = try await ask(guest, Command("guest-file-close", .init(handle: handle.number)))
    }

    /// Returns when the agent has answered. It comes up late in the guest's own start.
    private func awaitAgent(of guest: GuestName, within limit: Duration) async throws {
        let deadline = ContinuousClock.now + limit
        while true {
            do {
                _ = try await connection.askAgent(
                    Command("guest-ping").json(), of: guest.description, within: Self.answerTime)
                return
            } catch let error as LXCError where error.code == .timedOut {
                guard ContinuousClock.now < deadline else {
                    throw LXCError(
                        .timedOut,
                        "the guest agent of \(guest) did not answer within \(limit); its template needs qemu-guest-agent",
                        cause: error)
                }
                try await Task.sleep(for: .milliseconds(200))
            }
        }
    }

    private func ask(_ guest: GuestName, _ command: Command) async throws -> Answer {
        let text = try await connection.askAgent(command.json(), of: guest.description, within: Self.answerTime)
        do {
            return try JSONDecoder().decode(Reply.self, from: Data(text.utf8)).return
        } catch {
            throw LXCError(.hypervisor, "the guest agent of \(guest) gave an answer that makes no sense", cause: error)
        }
    }
}

/// A command as QEMU's guest agent protocol has it.
private struct Command: Encodable {
    struct Arguments: Encodable {
        var path: String?
        var mode: String?
        var handle: Int64?
        var text: String?

        private enum CodingKeys: String, CodingKey { case path, mode, handle, text = "buf-b64" }
    }

    var execute: String
    var arguments: Arguments?

    init(_ execute: String, _ arguments: Arguments? = nil) {
        self.execute = execute
        self.arguments = arguments
    }

    func json() throws -> String { String(decoding: try JSONEncoder().encode(self), as: UTF8.self) }
}

private struct Reply: Decodable {
    var `return`: Answer
}

/// The results of these commands: the number of a file, the number of bytes written, or nothing.
private struct Answer: Decodable {
    var number: Int64?
    var count: Int?

    private enum CodingKeys: String, CodingKey { case count }

    init(from decoder: any Decoder) throws {
        if let number = try? decoder.singleValueContainer().decode(Int64.self) {
            self.number = number
        } else {
            count = try decoder.container(keyedBy: CodingKeys.self).decodeIfPresent(Int.self, forKey: .count)
        }
    }
}
