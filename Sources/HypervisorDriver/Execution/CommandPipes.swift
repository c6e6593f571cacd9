// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem

/// The streams between this program and a command, before and after it is started.
final class CommandPipes: Sendable {
    /// Our ends; nil for a command with a terminal, which sends its own.
    let input: DescriptorStream?
    let output: DescriptorStream?
    let errorOutput: DescriptorStream?
    /// The stream of the starter's reports.
    let report: DescriptorStream
    /// The other ends: standard input, output and error, and the report.
    let programEnds: [CInt]

    /// Makes them.
    ///
    /// - Throws: `LXCError` `io`.
    init(withTerminal: Bool) throws {
        var ends: [CInt] = []
        do {
            if withTerminal {
                (input, output, errorOutput) = (nil, nil, nil)
                for _ in 0..<3 {
                    let null = open("/dev/null", O_RDWR | O_CLOEXEC)
                    guard null >= 0 else { throw LXCError.lastSystemCall("open", "open /dev/null") }
                    ends.append(null)
                }
            } else {
                input = try Self.make(clinux_pipe, &ends, ours: 1)
                output = try Self.make(clinux_pipe, &ends, ours: 0)
                errorOutput = try Self.make(clinux_pipe, &ends, ours: 0)
            }
            report = try Self.make(clinux_message_pair, &ends, ours: 0)
        } catch {
            for end in ends { close(end) }
            throw error
        }
        programEnds = ends
    }

    /// Closes the other ends, which are the command's alone once it is started.
    func closeProgramEnds() { for end in programEnds { close(end) } }

    private static func make(
        _ maker: (UnsafeMutablePointer<CInt>?) -> CInt, _ others: inout [CInt], ours: Int
    ) throws -> DescriptorStream {
        var ends: [CInt] = [-1, -1]
        guard maker(&ends) == 0 else { throw LXCError.lastSystemCall("pipe2", "make the streams of a command") }
        others.append(ends[1 - ours])
        return try DescriptorStream(Descriptor(adopting: ends[ours]))
    }
}
