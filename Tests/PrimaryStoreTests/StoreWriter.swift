// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import LXCCore

/// Another program that installs a template without end: `Tests/StoreWriter`.
enum StoreWriter {
    /// Starts it, waits until it has begun to unpack, and kills it.
    static func kill(installing template: TemplateID, in place: String) throws {
        let here = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let process = Process()
        process.executableURL = URL(filePath: here).deletingLastPathComponent().appending(path: "StoreWriter")
        process.arguments = [place, template.description]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        // It says so, or ends.
        let said = try output.fileHandleForReading.read(upToCount: 1)
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        guard said?.isEmpty == false else { throw LXCError(.invalidState, "the program that writes ended by itself") }
    }
}
