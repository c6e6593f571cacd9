public import ArgumentParser
import Foundation
public import LXCHypervisor

struct TreeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tree", abstract: "Unpacks, clones, digests and removes root filesystems.",
        subcommands: [Unpack.self, Clone.self, Digest.self, Remove.self])
}

/// What unpack and clone have in common.
struct CopyOptions: ParsableArguments {
    @OptionGroup var map: IDMapOptions

    @Option(
        name: .long, help: ArgumentHelp("A limit, such as logicalBytes=2GiB; may be repeated.", valueName: "key=value"))
    var limits: [String] = []

    @Flag(name: .long, help: "Fail when anything cannot be brought over.")
    var lossless = false

    func validate() throws {
        if let limit = limits.first(where: { !$0.contains("=") }) {
            throw ValidationError("--limits takes KEY=VALUE, not \"\(limit.escapedForDisplay)\".")
        }
    }

    func options() throws -> TreeCopyOptions {
        var options = TreeCopyOptions()
        options.destinationMap = try map.map()
        options.lossless = lossless
        for limit in limits {
            let parts = limit.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            try options.limits.set(String(parts[0]), to: String(parts[1]))
        }
        return options
    }
}

/// A tree at a path: a directory, or an archive.
func origin(at path: String) throws -> any TreeOrigin {
    let path = try localPath(path)
    return isDirectory(path) ? LocalTree(path) : TarArchive(path)
}

private func copy(
    _ verb: String, from source: any TreeOrigin, to destination: String, _ copy: CopyOptions,
    strategy: TreeCopyOptions.Strategy = .auto, _ common: CommonOptions
) async throws {
    var options = try copy.options()
    options.strategy = strategy
    let tree = LocalTree(try localPath(destination))
    let summary = try await withProgress(verb) { [options] progress in
        try await TreeCopy.run(from: source, to: tree, options: options, progress: progress)
    }
    let report = SummaryReport(summary)
    if common.json { try Output.json(report) } else { report.printFacts() }
}

struct Unpack: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Unpacks an archive into a new directory.")

    @Argument(help: "A tar archive, plain or compressed.")
    var archive: String
    @Argument(help: "A directory that does not exist yet.")
    var destination: String
    @OptionGroup var options: CopyOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        try await copy("unpacking", from: TarArchive(localPath(archive)), to: destination, options, common)
    }
}

struct Clone: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Clones a directory into a new one.")

    @Argument(help: "A directory.")
    var source: String
    @Argument(help: "A directory that does not exist yet.")
    var destination: String
    @Option(help: "How files are cloned.")
    var strategy: TreeCopyOptions.Strategy = .auto
    @OptionGroup var options: CopyOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let source = LocalTree(try localPath(source))
        try await copy("cloning", from: source, to: destination, options, strategy: strategy, common)
    }
}

extension TreeCopyOptions.Strategy: @retroactive ExpressibleByArgument {}

struct Digest: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints the digest of a tree: the same for an archive, its directory and every clone.")

    @Argument(help: "An archive or a directory.")
    var path: String
    @OptionGroup var map: IDMapOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        var options = TreeCopyOptions()
        options.sourceMap = try map.map()
        let tree = try origin(at: path)
        let summary = try await withProgress("reading") { [options] progress in
            try await TreeCopy.examine(tree, options: options, progress: progress)
        }
        if common.json {
            try Output.json(SummaryReport(summary))
        } else {
            print(summary.digest?.description ?? "-")
        }
    }
}

struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Removes a directory and everything below, crossing no mount and following no link.")

    @Argument(help: "A directory.")
    var directory: String
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let path = try localPath(directory)
        var status = stat()
        // A slip of the hand must not cost a file: only directories are removed, and no link to one.
        if lstat(path, &status) == 0, status.st_mode & S_IFMT != S_IFDIR {
            throw LXCError(.invalidArgument, "\(path.escapedForDisplay) is not a directory; remove it with rm")
        }
        try await LocalTree(path).remove()
        if common.json { try Output.json(["removed": directory]) }
    }
}
