// SPDX-License-Identifier: Apache-2.0

public import FileTree
public import LXCCore
public import StoreFiles

/// A store of templates, as tar archives and disk images: CloudStack's secondary storage. A store for disk images
/// conforms to ``DiskImageStore``.
///
/// Check a conforming type of your own with `TemplateStoreConformance` of the LXCTesting product.
public protocol TemplateStore: Sendable {
    /// Stores a template: fetches the archive, checks its checksum, unpacks its compression, reads the tree inside to
    /// its end, and only then makes it visible. A qcow2 image is stored as a template of system VMs; one that needs
    /// another file, a backing file or an external data file, is refused as `unsafe`.
    ///
    /// Of several concurrent registrations of the same template, in this program or others, one does the work and the
    /// others wait for its result.
    ///
    /// - Parameters:
    ///   - registration: the template to store, and its properties.
    ///   - progress: called while it is stored.
    /// - Returns: the template.
    /// - Throws: `LXCError` `alreadyExists` if that key is taken, `notFound` without the archive, `corrupt` for a
    ///   damaged archive or another checksum, `unsafe` for a refused tree, server or redirect, `limitExceeded`,
    ///   `unavailable` if a server stays unreachable, `permissionDenied`, `unsupported` for a source of another kind,
    ///   `invalidArgument`, `io`; `CancellationError`. Nothing is visible in the store then.
    func register(_ registration: TemplateRegistration, progress: ProgressHandler?) async throws -> Template

    /// All templates. One that is broken does not hide its neighbours.
    ///
    /// - Throws: `LXCError` `unavailable`, `io`.
    func list() async throws -> TemplateListing

    /// One template.
    ///
    /// - Throws: `LXCError` `notFound`, or `corrupt` when it is there and broken.
    func template(_ key: TemplateKey) async throws -> Template

    /// The tree inside, to be unpacked by a primary store.
    ///
    /// - Throws: as ``template(_:)``; `LXCError` `invalidArgument` when it is a disk image.
    func contents(of key: TemplateKey) async throws -> any TreeOrigin

    /// Reads a template to its end and compares it with what was registered.
    ///
    /// - Throws: `LXCError` `corrupt` naming the difference, `notFound`; `CancellationError`.
    func verify(_ key: TemplateKey, progress: ProgressHandler?) async throws

    /// Removes a template. Succeeds if it does not exist.
    ///
    /// - Throws: `LXCError` `io`.
    func delete(_ key: TemplateKey) async throws
}

/// A template store that also stores disk images of virtual machines.
public protocol DiskImageStore: TemplateStore {
    /// The disk image, to be copied by a primary store.
    ///
    /// - Throws: as ``TemplateStore/template(_:)``; `LXCError` `invalidArgument` when it is no disk image.
    func image(of key: TemplateKey) async throws -> DiskImage
}
