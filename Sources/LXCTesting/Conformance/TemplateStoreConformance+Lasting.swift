// SPDX-License-Identifier: Apache-2.0

import LXCCore
import TemplateStore

/// The guarantees of a store beyond the program that has it open.
extension TemplateStoreConformance {
    var lastingChecks: [ConformanceCheck] {
        [
            checkTwice("a registered template is there when the store is opened again") { subject, store, reopen in
                let template = try await store.register(subject.registration(), progress: nil)
                let again = try await reopen()
                try requireEqual(await again.list(), TemplateListing(templates: [template]), "the listing")
                try await again.verify(template.key, progress: nil)
                try await requireError(.alreadyExists, by: "registering it again") {
                    try await again.register(subject.registration(), progress: nil)
                }
                try await again.delete(template.key)
                try requireEqual(await reopen().list(), TemplateListing(), "the listing after the deletion")
                try requireEqual(await store.list(), TemplateListing(), "the listing of the first")
            },
            checkTwice("two that have a store open see what the other does") { subject, store, reopen in
                let other = try await reopen()
                let first = try await store.register(subject.registration(1), progress: nil)
                let second = try await other.register(subject.registration(2), progress: nil)
                for store in [store, other] {
                    try requireEqual(await store.list(), TemplateListing(templates: [first, second]), "the listing")
                }
                try await store.delete(second.key)
                try await requireError(.notFound, by: "the template the other deleted") {
                    try await other.template(second.key)
                }
            },
        ]
    }

    /// A rule for a store that is opened more than once.
    private func checkTwice(
        _ rule: String,
        _ body:
            @escaping @Sendable (
                Subject, any TemplateStore, @escaping @Sendable () async throws -> any TemplateStore
            ) async throws -> Void
    ) -> ConformanceCheck {
        check(rule) { subject, store in
            guard let reopen = subject.reopen else {
                throw Broken(found: "nothing opens the store again: Subject.reopen is nil")
            }
            try await body(subject, store) {
                let other = try await reopen(store)
                try require(
                    !(type(of: other) is AnyClass) || (other as AnyObject) !== (store as AnyObject),
                    "reopening returns the very same object, which another program cannot have")
                return other
            }
        }
    }
}
