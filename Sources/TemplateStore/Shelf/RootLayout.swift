// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import Synchronization

/// Decides by the names in a tree whether it is the root of a system. It keeps a few names, however large the tree is.
struct RootLayout: Sendable {
    /// The number of names of one directory kept.
    private static let maximumNames = 64
    /// Directories in which an init may be, and what may lead to them. A system with its programs in `/usr` has links here.
    private static let watched: Set<String> = [
        "sbin", "bin", "usr", "usr/sbin", "usr/bin", "sbin/init", "bin/init", "usr/sbin/init", "usr/bin/init",
    ]
    /// Directories that every system has some of.
    private static let usual: Set<String> = ["bin", "sbin", "usr", "etc", "lib", "var", "proc", "dev", "root"]

    private var top: Set<String> = []
    /// The names below the first directory of the top, and below `rootfs`.
    private var first: String?
    private var belowFirst: Set<String> = []
    private var belowRoot: Set<String> = []
    private var hasLayers = false
    /// The objects at the watched places: the target of a link, empty for anything else.
    private var places: [String: String] = [:]

    /// Notes an entry.
    mutating func take(_ entry: TreeEntry) {
        let names = entry.path.components.prefix(3).map { String(decoding: $0, as: UTF8.self) }
        guard let name = names.first else { return }
        Self.add(name, to: &top)
        if first == nil { first = name }
        if names.count > 1 {
            if name == first { Self.add(names[1], to: &belowFirst) }
            if name == "rootfs" { Self.add(names[1], to: &belowRoot) }
            if names[1] == "layer.tar" || name == "blobs" { hasLayers = true }
        }
        let path = names.joined(separator: "/")
        guard entry.path.depth == names.count, Self.watched.contains(path) else { return }
        if case .symbolicLink(let target) = entry.kind {
            places[path] = String(decoding: target, as: UTF8.self)
        } else {
            places[path] = ""
        }
    }

    private static func add(_ name: String, to names: inout Set<String>) {
        if names.count < maximumNames { names.insert(name) }
    }

    private var isRoot: Bool { !top.isDisjoint(with: Self.usual) }

    /// Refuses trees made of archives: no program in them could run.
    ///
    /// - Throws: `LXCError` `unsupported`.
    func requireTree(_ shown: String) throws {
        guard !isRoot else { return }
        if top.contains("oci-layout"), top.contains("index.json") {
            throw Self.refusal(shown, "an OCI image layout: the root is in layers inside of it")
        }
        if top.contains("manifest.json"), hasLayers || top.contains("repositories") {
            throw Self.refusal(shown, "what \"docker save\" writes: the root is in layers inside of it")
        }
    }

    private static func refusal(_ shown: String, _ what: String) -> LXCError {
        LXCError(
            .unsupported,
            "\(shown) is no root file system but \(what); make a tar of the root with \"docker export\" of a container, or "
                + "with \"umoci unpack\"")
    }

    /// Missing features of a container made of the tree.
    var warnings: [TemplateWarning] {
        if !isRoot, top.contains("rootfs"), belowRoot.count(where: { Self.usual.contains($0) }) > 1 {
            return [
                TemplateWarning(
                    .rootInside,
                    "the root of a system is in its directory rootfs, as in an image of Incus or LXD, and no container "
                        + "starts from there; pack the contents of rootfs (tar -C rootfs -cf root.tar .)")
            ]
        }
        if !isRoot, top.count == 1, let first, belowFirst.count(where: { Self.usual.contains($0) }) > 1 {
            let shown = first.escapedForDisplay
            return [
                TemplateWarning(
                    .oneDirectory,
                    "all of it is in the directory \"\(shown)\", which looks like the root of a system, and no container "
                        + "starts from there; pack its contents (tar -C \(shown) -cf root.tar .)")
            ]
        }
        guard lacksInit else { return [] }
        return [
            TemplateWarning(
                .noInit,
                "it has no /sbin/init, which containers start by default; name another program as the init of containers "
                    + "made of it")
        ]
    }

    /// Whether `/sbin/init` is surely missing. A link to where nothing was watched may lead to one.
    private var lacksInit: Bool {
        var path = ["sbin", "init"]
        var walked: [String] = []
        var linksLeft = 8
        while let name = path.first {
            path.removeFirst()
            guard name != ".." else {
                if !walked.isEmpty { walked.removeLast() }
                continue
            }
            walked.append(name)
            let place = walked.joined(separator: "/")
            // A directory without an entry of its own may have contents.
            guard let target = places[place] else {
                if path.isEmpty { return true }
                if Self.watched.contains(place) { continue }
                return false
            }
            guard !target.isEmpty, !path.isEmpty else { continue }
            linksLeft -= 1
            guard linksLeft > 0 else { return false }
            if target.utf8.first == UInt8(ascii: "/") { walked = [] } else { walked.removeLast() }
            path = target.split(separator: "/").map(String.init).filter { $0 != "." } + path
        }
        return false
    }
}

/// A tree that is looked at while another reads it.
struct ObservedTree: TreeOrigin {
    private final class Observation: Sendable {
        let layout = Mutex(RootLayout())
    }

    private let origin: any TreeOrigin
    private let observation = Observation()

    /// Creates an observed tree.
    init(_ origin: any TreeOrigin) { self.origin = origin }

    /// The observations so far.
    var layout: RootLayout { observation.layout.withLock { $0 } }

    var description: String { origin.description }

    func openForReading(_ opening: TreeOpening) throws -> any TreeSource {
        observation.layout.withLock { $0 = RootLayout() }
        return Source(try origin.openForReading(opening), observation)
    }

    private final class Source: TreeSource {
        private let source: any TreeSource
        private let observation: Observation

        init(_ source: any TreeSource, _ observation: Observation) {
            self.source = source
            self.observation = observation
        }

        func next() throws -> TreeEntry? {
            guard let entry = try source.next() else { return nil }
            observation.layout.withLock { $0.take(entry) }
            return entry
        }

        func nextPiece() throws -> TreePiece? { try source.nextPiece() }
        var position: (read: UInt64, total: UInt64?) { source.position }
        var losses: TreeLosses { source.losses }
    }
}
