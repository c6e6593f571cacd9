// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import FileTree
import Glibc
public import LXCHypervisor
import NFSClient
import TarArchive

struct TreeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tree", abstract: "Unpacks, clones, packs, digests, compares and removes root filesystems.",
        subcommands: [Unpack.self, Clone.self, Pack.self, Digest.self, Compare.self, Remove.self])
}

/// The common options of unpack, clone and pack.
struct CopyOptions: ParsableArguments {
    @OptionGroup var map: IDMapOptions

    @Option(
        name: .long, help: ArgumentHelp("A limit, such as logicalBytes=2GiB; may be repeated.", valueName: "key=value"))
    var limits: [String] = []

    @Flag(name: .long, help: "Fail when anything cannot be brought over.")
    var lossless = false

    @Flag(
        name: .long, inversion: .prefixedNo,
        help: "Compute the digest. Without it the kernel moves contents by itself, and a snapshot is not read.")
    var digest = true

    func validate() throws {
        if let limit = limits.first(where: { !$0.contains("=") }) {
            throw ValidationError("--limits takes KEY=VALUE, not \"\(limit.escapedForDisplay)\".")
        }
    }

    /// The options, with the id map for the end of the copy that is on this host.
    func options(mapping end: WritableKeyPath<TreeCopyOptions, IDMap?>) throws -> TreeCopyOptions {
        var options = TreeCopyOptions()
        options[keyPath: end] = try map.map()
        options.lossless = lossless
        options.computesDigest = digest
        for limit in limits {
            let parts = limit.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            try options.limits.set(String(parts[0]), to: String(parts[1]))
        }
        return options
    }
}

/// A tree at a location: a directory here or on an NFS server, or an archive.
func origin(at location: String) throws -> any TreeOrigin {
    if let url = try NFSURL(recognizing: location) { return NFSTree(url) }
    let path = try localPath(location)
    return isDirectory(path) ? LocalTree(path) : TarArchive(path)
}

/// A directory that is made, here or on an NFS server.
func destination(at location: String) throws -> any TreeDestination {
    if let url = try NFSURL(recognizing: location) { return NFSTree(url) }
    return LocalTree(try localPath(location))
}

/// The parts that a digest omits.
struct DigestOptions: ParsableArguments {
    @Flag(name: .long, help: "Leave out extended attributes, ACLs and capabilities, which NFS does not hold.")
    var noAttributes = false

    @Flag(name: .long, help: "Leave out times of symbolic links, which some NFS servers do not keep.")
    var noLinkTimes = false

    var parts: Set<TreeDigest.Part> {
        var parts: Set<TreeDigest.Part> = []
        if noAttributes { parts.insert(.attributes) }
        if noLinkTimes { parts.insert(.linkTimes) }
        return parts
    }
}

private func copy(
    _ verb: String, from source: any TreeOrigin, to destination: any TreeDestination, _ options: TreeCopyOptions,
    _ common: CommonOptions
) async throws {
    let summary = try await withProgress(verb) { progress in
        try await TreeCopy.run(from: source, to: destination, options: options, progress: progress)
    }
    let report = SummaryReport(summary)
    if common.json { try Output.json(report) } else { report.printFacts() }
}

struct Unpack: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Unpacks an archive into a new directory.")

    @Argument(help: "A tar archive, plain or compressed.")
    var archive: String
    @Argument(help: "A directory that does not exist yet, or nfs://server/export/path.")
    var destination: String
    @OptionGroup var options: CopyOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let tree = try lxcctl.destination(at: destination)
        let options = try options.options(mapping: \.destinationMap)
        try await copy("unpacking", from: TarArchive(localPath(archive)), to: tree, options, common)
    }
}

struct Clone: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Clones a directory into a new one.")

    @Argument(help: "A directory, or nfs://server/export/path.")
    var source: String
    @Argument(help: "A directory that does not exist yet, or nfs://server/export/path.")
    var destination: String
    @Option(help: "How files are cloned.")
    var strategy: TreeCopyOptions.Strategy = .auto
    @OptionGroup var options: CopyOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let tree = try lxcctl.destination(at: destination)
        var options = try options.options(mapping: \.destinationMap)
        options.strategy = strategy
        let source: any TreeOrigin =
            if let url = try NFSURL(recognizing: source) { NFSTree(url) } else { LocalTree(try localPath(source)) }
        try await copy("cloning", from: source, to: tree, options, common)
    }
}

struct Pack: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Packs a directory into a new archive, or an archive anew.",
        discussion: """
            The archive's name says how it is compressed: .tar, .tar.gz (.tgz), .tar.xz (.txz), .tar.zst (.tzst), \
            .tar.bz2 (.tbz2) or .tar.lz4. The id map is the source's: owners in the archive are the container's.
            """)

    @Argument(help: "A directory, nfs://server/export/path or an archive.")
    var source: String
    @Argument(help: "A tar archive that does not exist yet.")
    var archive: String
    @OptionGroup var options: CopyOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let options = try options.options(mapping: \.sourceMap)
        try await copy("packing", from: origin(at: source), to: TarArchive(localPath(archive)), options, common)
    }
}

extension TreeCopyOptions.Strategy: @retroactive ExpressibleByArgument {}

struct Digest: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints the digest of a tree: the same for an archive, its directory and every clone.")

    @Argument(help: "An archive, a directory or nfs://server/export/path.")
    var path: String
    @OptionGroup var map: IDMapOptions
    @OptionGroup var digest: DigestOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        var options = TreeCopyOptions()
        options.sourceMap = try map.map()
        options.digestOmits = digest.parts
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

struct Compare: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Names the entries in which a tree differs from another; fails when there are any.")

    @Argument(help: "An archive, a directory or nfs://server/export/path: how it was.")
    var old: String
    @Argument(help: "An archive, a directory or nfs://server/export/path: how it is.")
    var new: String
    @OptionGroup var digest: DigestOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let (old, new) = (try await manifest(of: old), try await manifest(of: new))
        try Output.differences(new.differences(from: old), of: self.new, common)
    }

    private func manifest(of path: String) async throws -> TreeManifest {
        var options = TreeCopyOptions()
        options.keepsManifest = true
        options.digestOmits = digest.parts
        let tree = try origin(at: path)
        let summary = try await withProgress("reading") { [options] progress in
            try await TreeCopy.examine(tree, options: options, progress: progress)
        }
        guard let manifest = summary.manifest else {
            throw LXCError(.limitExceeded, "\(path) has more than \(TreeManifest.maximumEntries) entries")
        }
        return manifest
    }
}

struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Removes a directory and everything below, crossing no mount and following no link.")

    @Argument(help: "A directory, or nfs://server/export/path.")
    var directory: String
    @OptionGroup var common: CommonOptions

    // A slip of the hand must not cost a file: only directories are removed, and no link to one.
    func run() async throws {
        if let url = try NFSURL(recognizing: directory) {
            try await NFSTree(url).remove(onlyDirectory: true)
        } else {
            let path = try localPath(directory)
            var status = stat()
            if lstat(path, &status) == 0, status.st_mode & S_IFMT != S_IFDIR {
                throw LXCError(.invalidArgument, "\(path.escapedForDisplay) is not a directory; remove it with rm")
            }
            try await LocalTree(path).remove()
        }
        if common.json { try Output.json(["removed": directory]) }
    }
}
