import Foundation
import LXCHypervisor

/// Measures this package against the tools an operator would use instead, alternately in one run, and prints ratios:
///
///     bench tree ARCHIVE DIRECTORY [ROUNDS]
///
/// ARCHIVE is a root filesystem as tar or tar.gz; DIRECTORY is on the file system to be measured.
@main
enum Bench {
    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        guard arguments.count >= 3, arguments.first == "tree", let rounds = Int(arguments.dropFirst(3).first ?? "5")
        else {
            print("usage: bench tree ARCHIVE DIRECTORY [ROUNDS]")
            exit(64)
        }
        let values = Array(arguments)
        try await TreeBench(archive: values[1], directory: values[2], rounds: rounds).run()
    }
}

/// Runs this package and a peer in turn and prints the median of the rounds' ratios.
struct Contest {
    var name: String
    var ours: () async throws -> Void
    var peers: [(name: String, run: () async throws -> Void)]
    var cleanUp: () async throws -> Void

    func run(rounds: Int) async throws {
        var ratios = [[Double]](repeating: [], count: peers.count)
        var times: [Double] = []
        // One round more than counted: the first warms the page cache and the disk's blocks.
        for round in 0...rounds {
            let own = try await seconds(ours)
            if round > 0 { times.append(own) }
            for (index, peer) in peers.enumerated() {
                let other = try await seconds(peer.run)
                if round > 0 { ratios[index].append(other / own) }
            }
        }
        for (index, peer) in peers.enumerated() {
            let ratio = String(format: "%.2f", median(ratios[index]))
            let own = String(format: "%.2f", median(times))
            print("\(name): \(ratio) × as fast as \(peer.name) (ours \(own) s, median of \(rounds))")
        }
    }

    private func seconds(_ body: () async throws -> Void) async throws -> Double {
        let clock = ContinuousClock()
        let start = clock.now
        try await body()
        let duration = clock.now - start
        try await cleanUp()
        return Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }

    private func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        return sorted.isEmpty ? .nan : sorted[sorted.count / 2]
    }
}
