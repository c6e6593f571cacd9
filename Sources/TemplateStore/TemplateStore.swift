public import FileTree
public import LXCCore
public import StoreFiles

/// Where templates are kept, as tar archives and disk images: CloudStack's secondary storage. A store that keeps disk
/// images conforms to ``DiskImageStore``.
///
/// Check a conforming type of your own with `TemplateStoreConformance` of the LXCTesting product.
public protocol TemplateStore: Sendable {
    /// Stores a template: fetches the archive, checks its checksum, unpacks its compression, reads the tree inside to its
    /// end, and only then makes it visible. What turns out to be a qcow2 image is stored as a template of system VMs; one
    /// that needs another file, a backing file or an external data file, is refused as `unsafe`.
    ///
    /// Of several registrations of the same at once, in this program or others, one does the work and the others wait for
    /// its template.
    ///
    /// - Parameters:
    ///   - registration: what to store, and as what.
    ///   - progress: called while it is stored.
    /// - Returns: the template.
    /// - Throws: `LXCError` `alreadyExists` where that key is taken, `notFound` without the archive, `corrupt`
    ///   for a damaged archive or another checksum, `unsafe` for a tree, a server or a redirect that is refused,
    ///   `limitExceeded`, `unavailable` when a server stays away, `permissionDenied`, `unsupported` for a source of
    ///   another kind, `invalidArgument`, `io`; `CancellationError`. Nothing is visible in the store then.
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

    /// Removes a template. Succeeds if it is not there.
    ///
    /// - Throws: `LXCError` `io`.
    func delete(_ key: TemplateKey) async throws
}

/// A template store that keeps disk images of virtual machines as well.
public protocol DiskImageStore: TemplateStore {
    /// The disk image, to be copied by a primary store.
    ///
    /// - Throws: as ``TemplateStore/template(_:)``; `LXCError` `invalidArgument` when it is no disk image.
    func image(of key: TemplateKey) async throws -> DiskImage
}
