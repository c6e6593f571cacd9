// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
public import TemplateStore

/// The rules of `TemplateStore`, for authors of a store.
///
/// ```swift
/// let conformance = TemplateStoreConformance { check in
///     try await check(.init(store: MyStore(), archive: path, checksum: sum, damagedArchive: truncated))
/// }
///
/// @Test(arguments: conformance.checks)
/// func conforms(_ check: ConformanceCheck) async throws { try await check.run() }
/// ```
public struct TemplateStoreConformance: Sendable {
    /// A store and what can be registered in it.
    public struct Subject: Sendable {
        /// A store that is empty.
        public var store: any TemplateStore
        /// The source of a root filesystem with more than three entries, whose tar has more than 1024 bytes.
        public var archive: String
        /// The checksum of ``archive``.
        public var checksum: Checksum
        /// A source that ends too early, or is otherwise no whole archive.
        public var damagedArchive: String
        /// A source that does not exist.
        public var missingArchive: String
        /// Opens the place of the store once more, as another program does; nil for a store whose contents end with its
        /// program, for which the rules on that fail.
        public var reopen: (@Sendable (any TemplateStore) async throws -> any TemplateStore)?

        /// Creates a subject.
        public init(
            store: any TemplateStore, archive: String, checksum: Checksum, damagedArchive: String,
            missingArchive: String, reopen: (@Sendable (any TemplateStore) async throws -> any TemplateStore)? = nil
        ) {
            self.reopen = reopen
            self.store = store
            self.archive = archive
            self.checksum = checksum
            self.damagedArchive = damagedArchive
            self.missingArchive = missingArchive
        }

        func registration(_ id: UInt64 = 10, account: UInt64 = 1, from source: String? = nil) -> TemplateRegistration {
            TemplateRegistration(
                key: TemplateKey(account: account, id: id), name: "template-\(account)-\(id)",
                summary: "A template: #\(id) ü", source: source ?? archive)
        }
    }

    /// Makes a subject, passes it to its argument, and removes it.
    public typealias WithSubject = @Sendable (_ check: @Sendable (Subject) async throws -> Void) async throws -> Void

    private let withSubject: WithSubject
    private let keepsContents: Bool

    /// Creates the suite from what makes a subject, once for each rule.
    ///
    /// - Parameters:
    ///   - keepsContents: whether the store's contents outlive its program. If not, as for an in-memory store for
    ///     tests, the rules on that are skipped.
    ///   - withSubject: makes a subject, passes it to its argument, and removes it.
    public init(keepsContents: Bool = true, _ withSubject: @escaping WithSubject) {
        self.keepsContents = keepsContents
        self.withSubject = withSubject
    }

    /// The rules.
    public var checks: [ConformanceCheck] {
        storedChecks + refusalChecks + concurrencyChecks + (keepsContents ? lastingChecks : [])
    }

    /// Runs all checks to the end.
    ///
    /// - Throws: the first ``ConformanceFailure``.
    public func run() async throws { try await checks.runAll() }

    func check(
        _ rule: String, _ body: @escaping @Sendable (Subject, any TemplateStore) async throws -> Void
    ) -> ConformanceCheck {
        ConformanceCheck(rule) { [withSubject] in
            try await withSubject { subject in try await body(subject, subject.store) }
        }
    }

    private var storedChecks: [ConformanceCheck] {
        [
            check("a new store is empty") { _, store in
                try requireEqual(await store.list(), TemplateListing(), "the listing")
            },
            check("a registered template is found as it was returned") { subject, store in
                let registration = subject.registration()
                let template = try await store.register(registration, progress: nil)
                try requireEqual(template.key, registration.key, "the key")
                try requireEqual(template.name, registration.name, "the name")
                try requireEqual(template.summary, registration.summary, "the summary")
                try requireEqual(template.isPublic, true, "whether it is public")
                try require(template.size.bytes > 0, "the size is zero")
                try require(template.digest != nil, "there is no digest")
                try requireEqual(await store.template(template.key), template, "the template")
                try requireEqual(await store.list(), TemplateListing(templates: [template]), "the listing")
            },
            check("a description that is empty is the name, and a private template stays private") { subject, store in
                var registration = subject.registration()
                registration.summary = ""
                registration.isPublic = false
                let template = try await store.register(registration, progress: nil)
                try requireEqual(template.summary, registration.name, "the summary")
                try requireEqual(await store.template(template.key), template, "the template")
                try requireEqual(template.isPublic, false, "whether it is public")
            },
            check("the contents have the digest of the template, and verify") { subject, store in
                let template = try await store.register(subject.registration(), progress: nil)
                let found = try await TreeCopy.examine(try await store.contents(of: template.key)).digest
                try requireEqual(found, template.digest, "the digest of the contents")
                try await store.verify(template.key, progress: nil)
            },
            check("templates are listed in order of their keys") { subject, store in
                for (account, id) in [(2, 1), (1, 10), (1, 9), (10, 1)] as [(UInt64, UInt64)] {
                    _ = try await store.register(subject.registration(id, account: account), progress: nil)
                }
                let keys = try await store.list().templates.map(\.key.description)
                try requireEqual(keys, ["1/9", "1/10", "2/1", "10/1"], "the keys")
            },
            check("deleting a template removes it; deleting it again is no error") { subject, store in
                let key = try await store.register(subject.registration(), progress: nil).key
                try await store.delete(key)
                try requireEqual(await store.list(), TemplateListing(), "the listing")
                try await store.delete(key)
                try await store.delete(TemplateKey(account: 7, id: 7))
                _ = try await store.register(subject.registration(), progress: nil)
            },
            check("what is not there is notFound") { _, store in
                let key = TemplateKey(account: 1, id: 10)
                try await requireError(.notFound, by: "the template") { try await store.template(key) }
                try await requireError(.notFound, by: "its contents") { try await store.contents(of: key) }
                try await requireError(.notFound, by: "its verification") { try await store.verify(key, progress: nil) }
            },
        ]
    }

    private var refusalChecks: [ConformanceCheck] {
        [
            check("a key is taken once") { subject, store in
                let template = try await store.register(subject.registration(), progress: nil)
                var second = subject.registration()
                second.name = "second"
                try await requireError(.alreadyExists, by: "the second registration") { [second] in
                    try await store.register(second, progress: nil)
                }
                try requireEqual(await store.list(), TemplateListing(templates: [template]), "the listing")
            },
            check("the checksum is of the archive") { subject, store in
                var registration = subject.registration()
                registration.checksum = subject.checksum
                _ = try await store.register(registration, progress: nil)
            },
            checkRefusal("another checksum is corrupt", .corrupt) { subject, registration in
                var digits = Array(subject.checksum.description)
                if let last = digits.popLast() { digits.append(last == "0" ? "1" : "0") }
                registration.checksum = try Checksum(parsing: String(digits))
            },
            checkRefusal("a missing archive is notFound", .notFound) { $1.source = Locator($0.missingArchive) },
            checkRefusal("an archive of an unknown kind of URL is unsupported", .unsupported) {
                $1.source = "gopher://example.org/archive.tar"
            },
            checkRefusal("a template needs a name", .invalidArgument) { $1.name = "" },
            checkRefusal("a damaged archive is corrupt", .corrupt) { $1.source = Locator($0.damagedArchive) },
            checkRefusal("a tar beyond the maximum size is limitExceeded", .limitExceeded) {
                $1.maximumSize = ByteCount(1024)
            },
            checkRefusal("a tree beyond the limits is limitExceeded", .limitExceeded) { $1.limits.entries = 2 },
        ]
    }

    /// A registration that is refused and leaves nothing behind, so that the right one succeeds after it.
    private func checkRefusal(
        _ rule: String, _ code: LXCError.Code,
        _ change: @escaping @Sendable (Subject, inout TemplateRegistration) throws -> Void
    ) -> ConformanceCheck {
        check("\(rule), and nothing is left") { subject, store in
            var registration = subject.registration()
            try change(subject, &registration)
            try await requireError(code, by: "the registration") { [registration] in
                try await store.register(registration, progress: nil)
            }
            try requireEqual(await store.list(), TemplateListing(), "the listing")
            try await requireError(.notFound, by: "the template") { [key = registration.key] in
                try await store.template(key)
            }
            _ = try await store.register(subject.registration(), progress: nil)
        }
    }

    private var concurrencyChecks: [ConformanceCheck] {
        [
            check("eight registrations of the same at once make one template") { subject, store in
                let results = await registerAtOnce(Array(repeating: subject.registration(), count: 8), in: store)
                let templates = Set(results.compactMap { try? $0.get() })
                try requireEqual(templates.count, 1, "the number of templates that were returned")
                try requireRefusals(results)
                try requireEqual(await store.list(), TemplateListing(templates: Array(templates)), "the listing")
            },
            check("of eight different registrations of one key at once one succeeds") { subject, store in
                let registrations = (0..<8).map { number in
                    var registration = subject.registration()
                    registration.name = "template-\(number)"
                    return registration
                }
                let results = await registerAtOnce(registrations, in: store)
                let templates = results.compactMap { try? $0.get() }
                try requireEqual(templates.count, 1, "the number of registrations that succeeded")
                try requireRefusals(results)
                try requireEqual(await store.list(), TemplateListing(templates: templates), "the listing")
            },
            check("registrations of different keys at once all succeed") { subject, store in
                let registrations = (1...4).map { subject.registration($0) }
                let results = await registerAtOnce(registrations, in: store)
                for result in results { _ = try result.get() }
                let keys = try await store.list().templates.map(\.key.id)
                try requireEqual(keys, [1, 2, 3, 4], "the ids")
            },
        ]
    }

    private func registerAtOnce(
        _ registrations: [TemplateRegistration], in store: any TemplateStore
    ) async -> [Result<Template, any Error>] {
        await withTaskGroup(of: Result<Template, any Error>.self) { group in
            for registration in registrations {
                group.addTask {
                    do { return .success(try await store.register(registration, progress: nil)) } catch {
                        return .failure(error)
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
    }

    private func requireRefusals(_ results: [Result<Template, any Error>]) throws {
        for case .failure(let error) in results {
            try requireEqual((error as? LXCError)?.code, .alreadyExists, "the code of \(error)")
        }
    }
}
