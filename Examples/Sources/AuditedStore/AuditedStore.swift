// SPDX-License-Identifier: Apache-2.0

public import Foundation
public import PrimaryStore
import StoreFiles

/// A primary store in a directory that asks an audit before each object appears in the pool or leaves it, such as for
/// an audit trail. Changes the audit refuses do not happen.
public struct AuditedStore: PooledStore {
    /// The intended change of a template, a volume or a disk.
    public enum Change: Hashable, Sendable {
        case added(UUID)
        case removed(UUID)
    }

    /// Records a change; throws to refuse it.
    public typealias Audit = @Sendable (Change) async throws -> Void

    /// The pool in the decorated directory.
    public let pool: Pool
    private let directory: LocalStoreFiles

    /// Opens the store in a directory.
    public init(path: String, audit: @escaping Audit) async throws {
        directory = try await Pool.directory(path)
        pool = try await Pool(opening: AuditedFiles(base: directory, audit: audit))
    }

    /// Makes a store in a directory that exists, and opens it.
    public static func create(at path: String, audit: @escaping Audit) async throws -> AuditedStore {
        _ = try await Pool.create(in: Pool.directory(path))
        return try await AuditedStore(path: path, audit: audit)
    }

    /// The directory itself.
    public func hostDirectory() -> String { directory.root }
}

/// A directory that passes everything on, and looks at one call: objects appear and leave by a rename.
private struct AuditedFiles: DecoratedStoreFiles {
    let base: any StoreFiles
    let audit: AuditedStore.Audit

    func publish(_ staged: String, as path: String) async throws {
        if let object = UUID(uuidString: path) { try await audit(.added(object)) }
        if let object = UUID(uuidString: staged) { try await audit(.removed(object)) }
        try await base.publish(staged, as: path)
    }
}
