import Foundation
import LXCHypervisor

/// Unpacking against GNU tar, cloning against `cp -a`; each includes making the result durable.
struct TreeBench {
    var archive: String
    var directory: String
    var rounds: Int

    func run() async throws {
        let work = "\(directory)/bench.\(ProcessInfo.processInfo.processIdentifier)"
        try FileManager.default.createDirectory(atPath: work, withIntermediateDirectories: false)
        do {
            try await contests(in: work)
        } catch {
            try? await LocalTree(work).remove()
            throw error
        }
        try await LocalTree(work).remove()
    }

    private func contests(in work: String) async throws {
        let (source, result) = ("\(work)/source", "\(work)/result")
        let summary = try await TreeCopy.run(from: TarArchive(archive), to: LocalTree(source))
        print("\(summary.counts.total) entries, \(ByteCount(summary.logicalBytes))")
        let cleanUp = { try await LocalTree(result).remove() }
        try await Contest(
            name: "unpack",
            ours: { _ = try await TreeCopy.run(from: TarArchive(archive), to: LocalTree(result)) },
            peers: [
                (
                    "tar -x with xattrs and ACLs",
                    {
                        try FileManager.default.createDirectory(atPath: result, withIntermediateDirectories: false)
                        try await tool(
                            "/bin/tar",
                            "--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "-xf", archive, "-C", result)
                        try await tool("/bin/sync", "-f", result)
                    }
                )
            ], cleanUp: cleanUp
        ).run(rounds: rounds)
        try await Contest(
            name: "clone",
            ours: { _ = try await TreeCopy.run(from: LocalTree(source), to: LocalTree(result)) },
            peers: [
                (
                    "cp -a",
                    {
                        try await tool("/bin/cp", "-a", source, result)
                        try await tool("/bin/sync", "-f", result)
                    }
                )
            ], cleanUp: cleanUp
        ).run(rounds: rounds)
    }

    private func tool(_ path: String, _ arguments: String...) async throws {
        let process = Process()
        process.executableURL = URL(filePath: path)
        process.arguments = arguments
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            process.terminationHandler = { ended in
                if ended.terminationStatus == 0 { return continuation.resume() }
                continuation.resume(throwing: LXCError(.io, "\(path) ended with \(ended.terminationStatus)"))
            }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
    }
}
