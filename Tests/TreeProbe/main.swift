// SPDX-License-Identifier: Apache-2.0

// A process that does one copy, for the tests of how much memory that takes. Prints the digest, or the code of the error,
// then the peak of its resident memory in KiB and how many entries there are.
//
//     TreeProbe SOURCE [DESTINATION] [LIMIT=VALUE…]
import FileTree
import Foundation
import LXCCore
import TarArchive

let arguments = CommandLine.arguments.dropFirst()
let paths = arguments.filter { !$0.contains("=") }
guard let first = paths.first else { exit(64) }
var options = TreeCopyOptions()
for setting in arguments where setting.contains("=") {
    let parts = setting.split(separator: "=", maxSplits: 1).map(String.init)
    if parts[0] == "manifest" {
        options.keepsManifest = true
    } else {
        try options.limits.set(parts[0], to: parts[1])
    }
}
var isDirectory: ObjCBool = false
_ = FileManager.default.fileExists(atPath: first, isDirectory: &isDirectory)
let origin: any TreeOrigin = isDirectory.boolValue ? LocalTree(first) : TarArchive(first)
var outcome: String
var count: UInt64 = 0
do {
    let summary: TreeSummary
    if paths.count > 1, let target = paths.last {
        let destination: any TreeDestination = target.hasSuffix(".tar") ? TarArchive(target) : LocalTree(target)
        summary = try await TreeCopy.run(from: origin, to: destination, options: options)
    } else {
        summary = try await TreeCopy.examine(origin, options: options)
    }
    outcome = summary.digest?.description ?? "none"
    count = summary.counts.total
} catch let error as LXCError {
    outcome = "\(error.code)"
    FileHandle.standardError.write(Data("\(error)\n".utf8))
}
let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
let peak = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }?.split(separator: " ").dropFirst().first ?? ""
print(outcome, peak, count)
