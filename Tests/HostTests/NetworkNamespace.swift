// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import TestSupport
import Testing

/// A network namespace of one test alone, with a cable whose end `up0` is its physical device.
final class NetworkNamespace: Sendable {
    let name = "lxct\(UInt32.random(in: 0 ... .max))"
    let directory: String

    /// Makes the namespace, runs `body`, and takes it away with all that is in it, also when `body` fails.
    static func run(_ body: (NetworkNamespace) async throws -> Void) async throws {
        let namespace = try NetworkNamespace()
        defer {
            _ = try? Command.run("/sbin/ip", "netns", "delete", namespace.name)
            try? FileManager.default.removeItem(atPath: namespace.directory)
        }
        try await body(namespace)
    }

    private init() throws {
        directory = FileManager.default.temporaryDirectory.path + "/networks-\(UUID().uuidString)"
        try Command.run("/sbin/ip", "netns", "add", name)
        try ip("link", "add", "up0", "type", "veth", "peer", "name", "wire0")
        try ip("link", "set", "up0", "up")
        try ip("link", "set", "wire0", "up")
        try ip("address", "add", "198.18.0.1/24", "dev", "up0")
    }

    /// Runs ip(8) in the namespace.
    @discardableResult
    func ip(_ arguments: String...) throws -> String { try Command.run("/sbin/ip", ["-n", name] + arguments) }

    /// The names of the devices, without those the namespace was made with.
    func devices() throws -> [String] {
        let lines = try ip("-br", "link").split(separator: "\n")
        let names = lines.compactMap { $0.split(whereSeparator: { $0 == " " || $0 == "@" }).first.map(String.init) }
        return names.filter { !["lo", "up0", "wire0"].contains($0) && !Self.automatic.contains($0) }.sorted()
    }

    /// What some kernels put into every namespace.
    static let automatic: Set = [
        "sit0", "ip6tnl0", "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6gre0",
    ]

    /// A process that plugs and unplugs in the namespace.
    func plugger() throws -> Plugger { try Plugger(self) }
}

/// A VifPlugger at work.
final class Plugger: @unchecked Sendable {
    // @unchecked: used by one task at a time.
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()

    fileprivate init(_ namespace: NetworkNamespace) throws {
        let here = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let program = URL(filePath: here).deletingLastPathComponent().appending(path: "VifPlugger").path
        process.executableURL = URL(filePath: "/sbin/ip")
        process.arguments = ["netns", "exec", namespace.name, program, namespace.directory]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
    }

    deinit { kill() }

    /// Gives a command without waiting for its answer.
    func begin(_ command: String) throws {
        try input.fileHandleForWriting.write(contentsOf: Data((command + "\n").utf8))
    }

    /// Waits for an answer, without its line feed.
    func answer() async -> String {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread { [output] in
                var line = Data()
                while let byte = try? output.fileHandleForReading.read(upToCount: 1), !byte.isEmpty, byte != Data([10])
                {
                    line += byte
                }
                continuation.resume(returning: String(decoding: line, as: UTF8.self))
            }
        }
    }

    func run(_ command: String) async throws -> String {
        try begin(command)
        return await answer()
    }

    /// Kills it; `ip netns exec` has become the program.
    func kill() {
        guard process.isRunning else { return }
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}
