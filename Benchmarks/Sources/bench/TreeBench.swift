// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// Unpacking, cloning and removing a root filesystem, against the tools an operator would use.
struct TreeBench {
    private let archives: String
    private let directory: String
    private let rounds: Int
    private let filesystems: [LoopFileSystem.Kind]
    private let works: [Work]
    private let endings: [String]
    private let megabytes: Int
    private let printsJSON: Bool
    private let isQuick: Bool

    private enum Work: String, CaseIterable {
        case unpack
        case clone
        case remove
    }

    private static let endings = ["tar", "tar.gz", "tar.xz", "tar.zst"]

    init(_ arguments: inout Arguments) throws {
        isQuick = arguments.flag("--quick")
        printsJSON = arguments.flag("--json")
        rounds = try arguments.number("--rounds") ?? (isQuick ? 1 : 5)
        megabytes = try arguments.number("--size") ?? 5_120
        filesystems = try arguments.list("--filesystems")
        works = try arguments.list("--works")
        endings = try arguments.value("--endings")?.split(separator: ",").map(String.init) ?? Self.endings
        archives = try arguments.required()
        directory = "\(try arguments.required())/bench.\(getpid())"
        try arguments.end()
    }

    func run() throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var report = try describe()
        for kind in filesystems {
            let filesystem = try LoopFileSystem(kind, megabytes: megabytes, in: directory)
            defer { filesystem.remove() }
            for contest in contests(on: filesystem) {
                note("\(contest.filesystem): \(contest.work)")
                let ratios = try contest.run(rounds: rounds)
                // A run takes long: results are shown immediately.
                for ratio in ratios { note("  \(ratio)") }
                report.ratios += ratios
            }
        }
        print(printsJSON ? try report.json() : report.table)
    }

    private func describe() throws -> Report {
        let names = try Program("tar", "-tf", "\(archives)/root.tar").run(log: log).output
        let size = try FileManager.default.attributesOfItem(atPath: "\(archives)/root.tar")[.size] as? UInt64
        let kernel = try Program("uname", "-r").run(log: log).output
        return Report(
            entries: names.utf8.count { $0 == UInt8(ascii: "\n") }, bytes: size ?? 0,
            kernel: String(kernel.prefix { $0.isNumber || $0 == "." }),
            processors: ProcessInfo.processInfo.processorCount)
    }

    private func note(_ text: String) {
        guard !isQuick else { return }
        FileHandle.standardError.write(Data("bench: \(text)\n".utf8))
    }

    private var log: String { "\(directory)/log" }

    private func contests(on filesystem: LoopFileSystem) -> [Contest] {
        works.flatMap { work in
            switch work {
            case .unpack: endings.map { unpacking($0, on: filesystem) }
            case .clone: [cloning(on: filesystem)]
            case .remove: [removing(on: filesystem)]
            }
        }
    }

    // MARK: The works

    private func unpacking(_ ending: String, on filesystem: LoopFileSystem) -> Contest {
        let (archive, result) = ("\(archives)/root.\(ending)", "\(filesystem.path)/result")
        let everything = ["--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner"]
        return contest(
            "unpack \(ending)", on: filesystem,
            ours: [("unpack", ["unpack", archive, result])],
            tools: [
                ("tar", [["mkdir", result], ["tar", "-xf", archive, "-C", result]]),
                ("tar xattrs", [["mkdir", result], ["tar"] + everything + ["-xf", archive, "-C", result]]),
                ("bsdtar", [["mkdir", result], ["bsdtar", "--no-acls", "-xf", archive, "-C", result]]),
            ]
        ) {
            try filesystem.make()
            return filesystem
        }
    }

    private func cloning(on filesystem: LoopFileSystem) -> Contest {
        let (source, result) = ("\(filesystem.path)/source", "\(filesystem.path)/result")
        return contest(
            "clone", on: filesystem,
            ours: [
                ("clone", ["clone", source, result]), ("no digest", ["clone", source, result, "--no-digest"]),
            ],
            tools: [
                ("cp -a", [["cp", "-a", source, result]]),
                ("rsync", [["rsync", "-aHAX", "--numeric-ids", "\(source)/", result]]),
            ]
        ) { try populated(filesystem) }
    }

    private func removing(on filesystem: LoopFileSystem) -> Contest {
        let source = "\(filesystem.path)/source"
        let both = Set(Durability.allCases)
        return Contest(
            filesystem: filesystem.kind.rawValue, work: "remove",
            ours: [Contestant(name: "remove", durability: both, programs: [own(["remove", source])], isOurs: true)],
            tools: [Contestant(name: "rm -rf", durability: both, programs: [Program("rm", "-rf", source)])],
            prepare: { try populated(filesystem) }, log: log)
    }

    // MARK: Their parts

    /// Ours in two ways, one for each time: a durable copy is a different operation, not the same one and a sync.
    private func contest(
        _ work: String, on filesystem: LoopFileSystem, ours: [(name: String, operation: [String])],
        tools: [(name: String, programs: [[String]])], prepare: @escaping () throws -> LoopFileSystem
    ) -> Contest {
        Contest(
            filesystem: filesystem.kind.rawValue, work: work,
            ours: ours.flatMap { own in
                [
                    Contestant(
                        name: own.name, durability: [.plain], programs: [self.own(own.operation)], isOurs: true),
                    Contestant(
                        name: "\(own.name), durable", durability: [.durable],
                        programs: [self.own(own.operation + ["--durable"])], isOurs: true),
                ]
            },
            tools: tools.map {
                Contestant(name: $0.name, durability: [.plain, .durable], programs: $0.programs.map { Program($0) })
            }, prepare: prepare, log: log)
    }

    private func own(_ arguments: [String]) -> Program { Program(["/proc/self/exe", "op"] + arguments) }

    /// A new file system with the root in it as this package makes it: on btrfs it is a subvolume. Everything is on the
    /// disk, and in the page cache too.
    private func populated(_ filesystem: LoopFileSystem) throws -> LoopFileSystem {
        try filesystem.make()
        try own(["unpack", "\(archives)/root.tar", "\(filesystem.path)/source", "--durable"]).run(log: log)
        return filesystem
    }
}
