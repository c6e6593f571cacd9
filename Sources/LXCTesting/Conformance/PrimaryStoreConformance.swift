// SPDX-License-Identifier: Apache-2.0

import FileTree
public import LXCCore
public import PrimaryStore

/// The rules of `PrimaryStore`, for authors of a store.
///
/// ```swift
/// var options = PrimaryStoreConformance.Options()
/// options.reopen = { store in try await MyStore((store as? MyStore)?.directory ?? "") }
/// let conformance = PrimaryStoreConformance(options: options) { check in
///     let directory = try TemporaryDirectory()
///     try await check(MyStore(directory.path))
///     try directory.remove()
/// }
///
/// @Test(arguments: conformance.checks)
/// func conforms(_ check: ConformanceCheck) async throws { try await check.run() }
/// ```
public struct PrimaryStoreConformance: Sendable {
    /// Makes a store that is empty, passes it to its argument, and removes it.
    public typealias WithStore =
        @Sendable (_ check: @Sendable (any PrimaryStore) async throws -> Void) async throws -> Void

    /// Conditions that depend on the machine the checks run on, or on the kind of store.
    public struct Options: Sendable {
        /// The tree that is installed and cloned. Choose its owner for a process that is not root.
        public var tree = MemoryTree.smallRoot()
        /// Whether the store can give files any owner; without it the rules on id maps are left out.
        public var mapsOwners = true
        /// Whether `hostPath(of:)` names directories that can be read here.
        public var hasHostPaths = true
        /// Whether the store's contents outlive its program. If not, as for an in-memory store for tests, the rules on
        /// that are skipped.
        public var keepsContents = true
        /// Opens the place of a store once more, as another program does. A store that keeps its contents needs it:
        /// without it the rules on that fail.
        public var reopen: (@Sendable (any PrimaryStore) async throws -> any PrimaryStore)?
        /// Changes something in an installed template behind the store's back; nil leaves the rule on that out.
        public var tamper: (@Sendable (any PrimaryStore, TemplateID) async throws -> Void)?
        /// Has another program begin to install a template of that id in the store's place, and kills it (SIGKILL) while it
        /// does; nil leaves the rule on that out.
        public var killInstaller: (@Sendable (any PrimaryStore, TemplateID) async throws -> Void)?

        /// A process that is root and a store that names real directories.
        public init() {}
    }

    let withStore: WithStore
    let options: Options

    /// Creates the suite from what makes a store, once for each rule.
    public init(options: Options = Options(), _ withStore: @escaping WithStore) {
        self.options = options
        self.withStore = withStore
    }

    /// The rules.
    public var checks: [ConformanceCheck] {
        templateChecks + failureChecks + volumeChecks + leaseChecks + concurrencyChecks
            + (options.mapsOwners ? [ownerCheck] : []) + (options.hasHostPaths ? [hostPathCheck] : [])
            + (options.keepsContents ? lastingChecks : [])
    }

    /// Runs all checks to the end.
    ///
    /// - Throws: the first ``ConformanceFailure``.
    public func run() async throws { try await checks.runAll() }

    func check(
        _ rule: String, _ body: @escaping @Sendable (any PrimaryStore, MemoryTree) async throws -> Void
    ) -> ConformanceCheck {
        ConformanceCheck(rule) { [withStore, tree = options.tree] in
            try await withStore { store in try await body(store, tree.countedAnew()) }
        }
    }

    // MARK: Templates

    private var templateChecks: [ConformanceCheck] {
        [
            check("a new store is empty and has room") { store, _ in
                try requireEqual(await store.contents(), StoreContents(), "the contents")
                let capacity = try await store.capacity()
                try require(capacity.total >= capacity.available, "more room is available than there is in all")
                try require(capacity.total.bytes > 0, "the capacity is zero")
            },
            check("an installed template is listed as it was returned") { store, tree in
                let id = TemplateID.random()
                let template = try await store.installTemplate(id, from: tree)
                try requireEqual(template.id, id, "the template's id")
                let summary = try await TreeCopy.examine(tree)
                try requireEqual(template.digest, summary.digest, "the digest")
                try requireEqual(template.entries, summary.counts.total, "the number of entries")
                try requireEqual(template.logicalSize, summary.logicalBytes, "the logical size")
                try require(template.created != nil, "the template has no date")
                try requireEqual(await store.contents(), StoreContents(templates: [template]), "the contents")
            },
            check("installing a template again returns the first without reading the origin") { store, tree in
                let id = TemplateID.random()
                let first = try await store.installTemplate(id, from: tree)
                let other = MemoryTree("a tree that must not be read")
                try requireEqual(await store.installTemplate(id, from: other), first, "the template")
                try requireEqual(other.timesOpened, 0, "the number of times the second origin was opened")
            },
            check("templates are listed in order") { store, tree in
                for _ in 0..<5 { _ = try await store.installTemplate(.random(), from: tree) }
                let ids = try await store.contents().templates.map(\.id)
                try requireEqual(ids, ids.sorted(), "the list of templates")
                try requireEqual(ids.count, 5, "the number of templates")
            },
            check("a digest that is expected is accepted") { store, tree in
                let digest = try await TreeCopy.examine(tree).digest
                let template = try await store.installTemplate(
                    .random(), from: tree, expecting: digest, limits: TreeLimits(), progress: nil)
                try requireEqual(template.digest, digest, "the digest")
            },
            check("a template that nobody changed verifies, and one that is not there is not found") { store, tree in
                let id = try await store.installTemplate(.random(), from: tree).id
                try requireEqual(await store.verifyTemplate(id, progress: nil), [], "the differences")
                try await requireError(.notFound, by: "verifying a template that is not there") {
                    try await store.verifyTemplate(.random(), progress: nil)
                }
            },
            check("deleting a template removes it; deleting it again is no error") { store, tree in
                let id = try await store.installTemplate(.random(), from: tree).id
                try await store.deleteTemplate(id)
                try requireEqual(await store.contents(), StoreContents(), "the contents")
                try await store.deleteTemplate(id)
                try await store.deleteTemplate(.random())
                try requireEqual(await store.collectGarbage(), 0, "the number of leftovers")
                _ = try await store.installTemplate(id, from: tree)
            },
            check("a template stays while a volume was cloned from it") { store, tree in
                let template = try await store.installTemplate(.random(), from: tree).id
                let volume = try await store.createVolume(.random(), from: template).id
                try await requireError(.inUse, by: "deleting the template") { try await store.deleteTemplate(template) }
                try requireEqual(await store.contents().templates.map(\.id), [template], "the list of templates")
                try await store.deleteVolume(volume)
                try await store.deleteTemplate(template)
            },
            check("collecting garbage leaves what is whole") { store, tree in
                let template = try await store.installTemplate(.random(), from: tree).id
                let volume = try await store.createVolume(.random(), from: template).id
                _ = try await store.acquireLease(on: volume, for: "host-a")
                let before = try await store.contents()
                try requireEqual(await store.collectGarbage(), 0, "the number of leftovers")
                try requireEqual(await store.contents(), before, "the contents")
                try await requireError(.inUse, by: "a second holder's lease") {
                    try await store.acquireLease(on: volume, for: "host-b")
                }
            },
        ]
    }

    // MARK: Failures

    private var failureChecks: [ConformanceCheck] {
        [
            check("a template of another digest is corrupt, and nothing is left") { store, tree in
                let other = try await TreeCopy.examine(MemoryTree.smallRoot(user: 1, group: 1)).digest
                let id = TemplateID.random()
                var changed = tree
                try changed.addFile("tmp/more", "more")
                try await requireError(.corrupt, by: "the installation") {
                    try await store.installTemplate(
                        id, from: changed, expecting: other, limits: TreeLimits(), progress: nil)
                }
                try await Self.requireNothing(of: id, in: store)
            },
            check("another digest is refused also when the template is there") { store, tree in
                let id = try await store.installTemplate(.random(), from: tree).id
                var changed = tree
                try changed.addFile("tmp/more", "more")
                let other = try await TreeCopy.examine(changed).digest
                try await requireError(.corrupt, by: "the installation") {
                    try await store.installTemplate(
                        id, from: tree, expecting: other, limits: TreeLimits(), progress: nil)
                }
            },
            check("an origin that fails leaves nothing, and can be tried again") { store, tree in
                let id = TemplateID.random()
                for last in 0..<tree.nodes.count {
                    var failing = tree
                    failing.beforeEntry = { if $0 == last { throw LXCError(.corrupt, "the archive is truncated") } }
                    let error = try await requireError(.corrupt, by: "the installation") {
                        try await store.installTemplate(id, from: failing)
                    }
                    try require(error.description.contains("truncated"), "the origin's own error is lost: \(error)")
                    try await Self.requireNothing(of: id, in: store)
                }
                _ = try await store.installTemplate(id, from: tree)
            },
            check("an origin beyond the limits leaves nothing") { store, tree in
                var limits = TreeLimits()
                limits.entries = 3
                let id = TemplateID.random()
                try await requireError(.limitExceeded, by: "the installation") { [limits] in
                    try await store.installTemplate(id, from: tree, expecting: nil, limits: limits, progress: nil)
                }
                try await Self.requireNothing(of: id, in: store)
            },
            check("a root whose directories lead out of it is unsafe, and leaves nothing") { store, tree in
                var hostile = tree
                try hostile.addSymbolicLink("dev", to: "../../../../etc")
                let id = TemplateID.random()
                try await requireError(.unsafe, by: "the installation") { [hostile] in
                    try await store.installTemplate(id, from: hostile)
                }
                try await Self.requireNothing(of: id, in: store)
            },
            check("a cancelled installation throws CancellationError and leaves nothing") { store, tree in
                let id = TemplateID.random()
                var slow = tree
                let (reached, signal) = AsyncStream<Void>.makeStream()
                slow.beforeEntry = { index in
                    guard index == 2 else { return }
                    signal.finish()
                    // Long enough for the cancellation to arrive while the copy is under way.
                    SystemThread.sleep(.milliseconds(200))
                }
                let installation = Task { [slow] in try await store.installTemplate(id, from: slow) }
                for await _ in reached {}
                installation.cancel()
                do {
                    _ = try await installation.value
                    throw Broken(found: "the installation throws nothing")
                } catch is CancellationError {
                    try await Self.requireNothing(of: id, in: store)
                }
            },
        ]
    }

    static func requireNothing(of id: TemplateID, in store: any PrimaryStore) async throws {
        try requireEqual(await store.contents(), StoreContents(), "the contents after the failure")
        try requireEqual(await store.collectGarbage(), 0, "the number of leftovers")
        try await requireError(.notFound, by: "cloning the template that failed") {
            try await store.createVolume(.random(), from: id)
        }
    }
}
