// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import _LXCTestServers

/// Unpacking to an NFS server and cloning on it, with many calls under way, with one, and by libnfs's calls by path.
struct NFSBench {
    private let archive: String
    private let directory: String
    private let rounds: Int
    /// Milliseconds that are added to a round trip.
    private let roundTrips: [Int]
    private let comparesPaths: Bool

    /// One way to do a work.
    private struct Way {
        let name: String
        let seconds: (_ url: String) throws -> Measured
    }

    private struct Measured {
        var seconds: Double
        var processor: Double?
        var mebibytes: Double?
    }

    init(_ arguments: inout Arguments) throws {
        let isQuick = arguments.flag("--quick")
        rounds = try arguments.number("--rounds") ?? (isQuick ? 1 : 3)
        comparesPaths = !arguments.flag("--without-paths")
        let list = try arguments.value("--round-trips") ?? "0,1"
        roundTrips = list.split(separator: ",").compactMap { Int($0) }
        archive = try arguments.required()
        directory = "\(try arguments.required())/bench.\(getpid())"
        try arguments.end()
    }

    func run() throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let filesystem = try LoopFileSystem(.ext4, megabytes: 3_072, in: directory)
        defer { filesystem.remove() }
        print("work      round trip  way             s      times as fast  processor s  MiB")
        for roundTrip in roundTrips {
            try compare("unpack", roundTrip, filesystem, unpackings) { _ in }
            try compare("clone", roundTrip, filesystem, clones) { url in
                try own(["unpack", archive, place(url, "source")]).run(log: log)
            }
        }
    }

    private var unpackings: [Way] {
        let unpack = { (options: [String]) -> (String) throws -> Measured in
            { url in try measure(own(["unpack", archive, place(url, "result")] + options)) }
        }
        let byPath: (String) throws -> Measured = { url in
            try measure(own(["unpack-by-path", archive, place(url, "result")]))
        }
        let paths = comparesPaths ? [Way(name: "libnfs by path", seconds: byPath)] : []
        return [
            Way(name: "ours", seconds: unpack([])), Way(name: "ours, window 1", seconds: unpack(["--window", "1"])),
        ] + paths
    }

    private var clones: [Way] {
        let clone = { (options: [String]) -> (String) throws -> Measured in
            { url in try measure(own(["clone", place(url, "source"), place(url, "result")] + options)) }
        }
        return [Way(name: "ours", seconds: clone([])), Way(name: "ours, window 1", seconds: clone(["--window", "1"]))]
    }

    /// Runs all ways in turn, each on a new file system behind a new server, and prints their medians and ratios.
    private func compare(
        _ work: String, _ roundTrip: Int, _ filesystem: LoopFileSystem, _ ways: [Way],
        prepare: (String) throws -> Void
    ) throws {
        var times: [[Measured]] = ways.map { _ in [] }
        for _ in 0..<rounds {
            for (index, way) in ways.enumerated() {
                try filesystem.make()
                defer { try? filesystem.unmount() }
                times[index].append(try serve(filesystem, roundTrip, way, prepare))
            }
        }
        for (index, way) in ways.enumerated() {
            let ratio = median(zip(times[index], times[0]).map { $0.seconds / $1.seconds })
            let processor = times[index].compactMap(\.processor)
            let memory = times[index].compactMap(\.mebibytes)
            print(
                work.padding(toLength: 10, withPad: " ", startingAt: 0)
                    + "\(roundTrip) ms".padding(toLength: 12, withPad: " ", startingAt: 0)
                    + way.name.padding(toLength: 16, withPad: " ", startingAt: 0)
                    + String(format: "%-7.2f", median(times[index].map(\.seconds)))
                    + (index == 0 ? "               " : String(format: "%-15.1f", ratio))
                    + (processor.isEmpty ? "" : String(format: "%-13.2f%.0f", median(processor), median(memory))))
        }
    }

    /// Starts a server, and ends it before its file system.
    private func serve(
        _ filesystem: LoopFileSystem, _ roundTrip: Int, _ way: Way, _ prepare: (String) throws -> Void
    ) throws -> Measured {
        let server = try NFSServer(NFSServer.Export(filesystem.path))
        try prepare(server.url())
        let proxies = try Proxies(server, roundTrip: roundTrip)
        return try withExtendedLifetime((server, proxies)) { try way.seconds(proxies?.url ?? server.url()) }
    }

    /// A proxy for each service.
    private struct Proxies {
        let url: String
        private let proxies: [FaultyProxy]

        init?(_ server: NFSServer, roundTrip: Int) throws {
            guard roundTrip > 0 else { return nil }
            let nfs = try FaultyProxy(to: server.address, port: NFSServer.port)
            let mount = try FaultyProxy(to: server.address, port: NFSServer.mountPort)
            nfs.change { $0.delay = .microseconds(roundTrip * 500) }
            url = "nfs://127.0.0.1/export?nfsport=\(nfs.port)&mountport=\(mount.port)"
            proxies = [nfs, mount]
        }
    }

    private var log: String { "\(directory)/log" }

    private func place(_ url: String, _ name: String) -> String {
        url.replacingOccurrences(of: "/export?", with: "/export/\(name)?")
    }

    private func own(_ arguments: [String]) -> Program { Program(["/proc/self/exe", "op"] + arguments) }

    private func measure(_ program: Program) throws -> Measured {
        let (seconds, output) = try program.run(log: log)
        let numbers = output.split(whereSeparator: \.isWhitespace).compactMap { Double($0) }
        return Measured(
            seconds: seconds, processor: numbers.count > 1 ? numbers[1] : nil,
            mebibytes: numbers.first.map { $0 / 1_024 })
    }
}
