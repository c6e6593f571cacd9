// SPDX-License-Identifier: Apache-2.0

/// One of those compared.
struct Contestant {
    /// Its name in the table.
    var name: String
    /// Which of the two times it stands for; a tool stands for both, its end and the end of a sync after it.
    var durability: Set<Durability>
    /// The programs to run; several if a tool needs its directory made first.
    var programs: [Program]
    /// Whether the last of them is `bench op`, which prints the memory it took.
    var isOurs = false
}

/// Whether the time until the result is on the disk is counted.
enum Durability: String, CaseIterable, Encodable {
    case plain
    case durable
}

/// This package's way to do a work and the tools' ways, measured in turn.
struct Contest {
    /// The first line of a table row.
    var filesystem: String
    var work: String
    /// Ours first; each is compared with the tools that stand for the same time.
    var ours: [Contestant]
    var tools: [Contestant]
    /// Makes the file system as the work finds it.
    var prepare: () throws -> LoopFileSystem
    var log: String

    private typealias Time = (name: String, durability: Durability)

    /// Runs everyone once a round, each time beginning with another one, and compares within the rounds. One round more
    /// is run where there are several: the first warms the page cache and the disk.
    func run(rounds: Int) throws -> [Ratio] {
        var seconds: [String: [Durability: [Double]]] = [:]
        var peaks: [String: [Int]] = [:]
        let all = ours + tools
        let warming = rounds > 1 ? 1 : 0
        for round in 0..<(rounds + warming) {
            for index in all.indices {
                let contestant = all[(index + round) % all.count]
                let (times, peak) = try measure(contestant)
                guard round >= warming else { continue }
                for (durability, time) in times {
                    seconds[contestant.name, default: [:]][durability, default: []].append(time)
                }
                if let peak { peaks[contestant.name, default: []].append(peak) }
            }
        }
        return Durability.allCases.flatMap { durability in
            ours.flatMap { own -> [Ratio] in
                guard let ownTimes = seconds[own.name]?[durability] else { return [] }
                return tools.compactMap { tool in
                    guard let times = seconds[tool.name]?[durability] else { return nil }
                    return Ratio(
                        filesystem: filesystem, work: work, durability: durability, ours: own.name,
                        seconds: median(ownTimes), tool: tool.name, toolSeconds: median(times),
                        ratio: median(zip(times, ownTimes).map { $0 / $1 }),
                        peakMebibytes: median((peaks[own.name] ?? []).map { Double($0) / 1024 }), rounds: rounds)
                }
            }
        }
    }

    private func measure(_ contestant: Contestant) throws -> (times: [Durability: Double], peak: Int?) {
        let filesystem = try prepare()
        let result: (times: [Durability: Double], peak: Int?)
        do {
            result = try measure(contestant, on: filesystem)
        } catch {
            try? filesystem.unmount()
            throw error
        }
        try filesystem.unmount()
        return result
    }

    private func measure(
        _ contestant: Contestant, on filesystem: LoopFileSystem
    ) throws -> (times: [Durability: Double], peak: Int?) {
        var sum = 0.0
        var output = ""
        for program in contestant.programs {
            let (seconds, text) = try program.run(log: log)
            sum += seconds
            output = text
        }
        var times: [Durability: Double] = [:]
        if contestant.durability.contains(.plain) { times[.plain] = sum }
        if contestant.durability.contains(.durable) {
            // Our durable copy has synced already; another sync costs both sides the same.
            times[.durable] = try sum + filesystem.sync()
        }
        return (times, contestant.isOurs ? output.split(separator: " ").first.flatMap { Int($0) } : nil)
    }
}

/// The middle one of an odd number of values.
func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return sorted.isEmpty ? .nan : sorted[sorted.count / 2]
}
