// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import Glibc
import LXCHypervisor
import NFSClient
import TarArchive

/// One operation of this package, as a process of its own. Prints the most memory it had, in KiB.
struct Operation {
    private let name: String
    private let paths: [String]
    private var options = TreeCopyOptions()
    private var client = NFSClientOptions()

    init(_ arguments: inout Arguments) throws {
        options.durable = arguments.flag("--durable")
        options.computesDigest = !arguments.flag("--no-digest")
        client.window = try arguments.number("--window") ?? client.window
        name = try arguments.required()
        let first = try arguments.required()
        paths = name == "remove" ? [first] : [first, try arguments.required()]
        try arguments.end()
    }

    func run() async throws {
        switch name {
        case "unpack": try await copy(from: TarArchive(paths[0]), to: destination(paths[1]))
        case "unpack-by-path": try PathUnpacking(URL: paths[1]).run(TarArchive(paths[0]))
        case "clone": try await copy(from: origin(paths[0]), to: destination(paths[1]))
        case "remove":
            if let tree = try nfs(paths[0]) { try await tree.remove() } else { try await LocalTree(paths[0]).remove() }
        default: throw Arguments.Wrong()
        }
        print(try Self.peakMemory(), Self.processorSeconds())
    }

    private func destination(_ place: String) throws -> any TreeDestination {
        if let tree = try nfs(place) { return tree }
        return LocalTree(place)
    }

    private func origin(_ place: String) throws -> any TreeOrigin {
        if let tree = try nfs(place) { return tree }
        return LocalTree(place)
    }

    private func nfs(_ place: String) throws -> NFSTree? {
        try NFSURL(recognizing: place).map { NFSTree($0, options: client) }
    }

    private func copy(from origin: any TreeOrigin, to destination: any TreeDestination) async throws {
        _ = try await TreeCopy.run(from: origin, to: destination, options: options)
    }

    /// The processor time of this process, in user and system mode.
    private static func processorSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Not what wait4(2) says: that counts the memory of the process that started this one.
    private static func peakMemory() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    }
}
