// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import HypervisorDriver
import LXCCore
import Libvirt
import Logging
import TestSupport
import Testing

let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A container's root with nothing but busybox in it, and the document of a container on it; removed with the value.
final class BusyboxContainer: Sendable {
    let name = "t-\(UInt32.random(in: 0 ... .max))"
    let root: String
    let script: String
    let interface: String

    /// `script` is the container's init, run by busybox sh; `interface` is an element of its own.
    init(_ script: String, interface: String = "") throws {
        root = FileManager.default.temporaryDirectory.path + "/busybox-\(UUID().uuidString)"
        self.script = script
        self.interface = interface
        for folder in ["bin", "dev", "proc", "sys", "tmp", "run", "etc"] {
            try FileManager.default.createDirectory(atPath: "\(root)/\(folder)", withIntermediateDirectories: true)
        }
        try FileManager.default.copyItem(atPath: "/bin/busybox", toPath: "\(root)/bin/busybox")
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }

    var document: String {
        """
        <domain type='lxc'><name>\(name)</name><memory unit='MiB'>64</memory>
        <os><type>exe</type><init>/bin/busybox</init><initarg>sh</initarg><initarg>-c</initarg>
        <initarg>\(script.replacing("&", with: "&amp;").replacing("<", with: "&lt;"))</initarg></os>
        <devices><filesystem type='mount'><source dir='\(root)'/><target dir='/'/></filesystem>
        \(interface)<console type='pty'/></devices></domain>
        """
    }
}

/// A process as the kernel tells it from another that gets its number later.
struct RunningProcess: Hashable, Sendable {
    let pid: Int32
    let startTime: Substring

    init?(_ pid: Int32) {
        guard let fields = Self.fields(pid), fields.count > 19, fields[0] != "Z" else { return nil }
        self.pid = pid
        startTime = fields[19]
    }

    var isAlive: Bool { Self(pid) == self }

    /// The process and all below it.
    static func tree(_ pid: Int32) -> [RunningProcess] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        let children = all.compactMap(Int32.init).filter { fields($0)?[1] == Substring("\(pid)") }
        return [RunningProcess(pid)].compactMap(\.self) + children.flatMap(tree)
    }

    /// The fields of proc_pid_stat(5) from the state on.
    private static func fields(_ pid: Int32) -> [Substring]? {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")")
        else { return nil }
        return text[end...].dropFirst(2).split(separator: " ")
    }
}

/// Waits until something holds; false when it does not in 20 s.
func eventually(within time: Duration = .seconds(20), _ condition: () async throws -> Bool) async rethrows -> Bool {
    let deadline = ContinuousClock.now + time
    while try await !condition() {
        if ContinuousClock.now > deadline { return false }
        try? await Task.sleep(for: .milliseconds(20))
    }
    return true
}

/// The control groups that belong to a container of that name, in every hierarchy.
func controlGroups(of container: String) -> [String] {
    // libvirt makes them three levels down at most: hierarchy, partition, group.
    func search(_ folder: String, depth: Int) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        let found = names.filter { $0.contains(container) }.map { "\(folder)/\($0)" }
        return depth == 0 ? found : found + names.flatMap { search("\(folder)/\($0)", depth: depth - 1) }
    }
    return search("/sys/fs/cgroup", depth: 2)
}

/// The host's mounts that a daemon could have made; other tests mount things of their own meanwhile.
func hostMounts() throws -> [Substring] {
    let mounts = try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)
    return mounts.split(separator: "\n").filter { $0.contains("libvirt") || $0.contains("/run/lxc-hypervisor") }
}

func freshDirectory() -> String { "/run/lxc-hypervisor/test-\(UInt32.random(in: 0 ... .max))" }

/// Runs a program of the host to its end.
func run(_ program: String, _ arguments: String...) throws {
    try Command.run(program, arguments)
}

/// Another process that owns a daemon, for tests that kill it.
final class OwnerProcess: @unchecked Sendable {
    // @unchecked: used by one test at a time.
    let process = Process()
    private let input = Pipe()
    private let output = Pipe()

    /// Returns when the daemon runs, and the container with it.
    init(directory: String, lifetime: String = "owner", container: BusyboxContainer? = nil) async throws {
        let here = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let folder = URL(filePath: here).deletingLastPathComponent()
        process.executableURL = folder.appending(path: "PrivateLibvirtdOwner")
        process.arguments = [directory, lifetime]
        if let container {
            let file = container.root + ".xml"
            try container.document.write(toFile: file, atomically: true, encoding: .utf8)
            process.arguments?.append(file)
        }
        process.standardInput = input
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let answer = try await BlockingPool.shared.run { [output] _ in
            try output.fileHandleForReading.read(upToCount: 5) ?? Data()
        }
        if let container { try? FileManager.default.removeItem(atPath: container.root + ".xml") }
        #expect(String(decoding: answer, as: UTF8.self) == "ready")
    }

    func kill() {
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Lets it leave by itself.
    func leave() throws {
        try input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}
