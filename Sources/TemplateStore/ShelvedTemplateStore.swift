// SPDX-License-Identifier: Apache-2.0

public import FileTree
public import LXCCore
public import StoreFiles

/// A template store that is a ``TemplateShelf``, wherever that is.
///
/// A conforming type says which shelf it is; everything else is inherited. A store that connects to a server makes its shelf
/// when it is first asked for.
///
/// Check a conforming type with `TemplateStoreConformance` of the LXCTesting product.
public protocol ShelvedTemplateStore: TemplateStore {
    /// The shelf, with the place it is in.
    ///
    /// - Throws: `LXCError` `unavailable` when the place cannot be reached; `CancellationError`.
    var shelf: TemplateShelf { get async throws }
}

extension ShelvedTemplateStore {
    /// Builds the template's directory under a hidden name and publishes it by rename. The remains of a killed
    /// registration are removed by the next one of the same key, or by its deletion.
    public func register(_ registration: TemplateRegistration, progress: ProgressHandler?) async throws -> Template {
        try await shelf.register(registration, progress: progress)
    }

    /// Reads the properties of every `<account>/<id>` directory.
    public func list() async throws -> TemplateListing { try await shelf.list() }

    /// Reads the template's properties.
    public func template(_ key: TemplateKey) async throws -> Template { try await shelf.read(key).template(key) }

    /// The template's tar, read where it is.
    public func contents(of key: TemplateKey) async throws -> any TreeOrigin { try await shelf.contents(of: key) }

    /// The template's disk image, read where it is.
    public func image(of key: TemplateKey) async throws -> DiskImage { try await shelf.image(of: key) }

    /// Reads the file to its end and compares its bytes, and the tree of a tar, with what was registered.
    public func verify(_ key: TemplateKey, progress: ProgressHandler?) async throws {
        try await shelf.verify(key, progress: progress)
    }

    /// Moves the template's directory away by rename, then removes it.
    public func delete(_ key: TemplateKey) async throws { try await shelf.delete(key) }
}
