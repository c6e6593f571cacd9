public import FileTree
public import LXCCore
public import Logging
public import StoreFiles

/// Secondary storage in a directory of this host, laid out as CloudStack does:
/// `<path>/template/tmpl/<account>/<id>/<uuid>.tar` beside `template.properties`.
///
/// A registration is built under a hidden name and published by rename, under a lock that other programs and hosts
/// respect. An interrupted download stands under a hidden name as well, until the next registration of the same URL as
/// the same template resumes it, or the template is deleted.
public struct LocalSecondaryStorage: DiskImageStore {
    /// The directory that holds `template/`.
    public let path: String

    private let shelf: TemplateShelf

    /// Takes a directory, which must exist when it is used.
    ///
    /// - Parameters:
    ///   - path: the directory that holds, or will hold, `template/`.
    ///   - pool: threads for file operations. Downloads have threads of their own.
    ///   - logger: takes what is done, at `info`.
    public init(
        path: String, pool: BlockingPool = .shared, logger: Logger = Logger(label: "lxc-hypervisor.templates")
    ) {
        self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        let files = LocalStoreFiles(self.path, pool: pool)
        shelf = TemplateShelf(
            files: files, downloads: DownloadPlace(in: files, pool: pool), pool: pool, logger: logger)
    }

    /// Builds the template's directory under a hidden name and publishes it by rename. What a killed registration left
    /// behind goes with the next one of the same key, or with its deletion.
    public func register(_ registration: TemplateRegistration, progress: ProgressHandler?) async throws -> Template {
        try await shelf.register(registration, progress: progress)
    }

    /// Reads the properties of every `<account>/<id>` directory.
    public func list() async throws -> TemplateListing { try await shelf.list() }

    /// Reads the template's properties.
    public func template(_ key: TemplateKey) async throws -> Template { try await shelf.read(key).template(key) }

    /// The template's tar.
    public func contents(of key: TemplateKey) async throws -> any TreeOrigin { try await shelf.contents(of: key) }

    /// The template's disk image.
    public func image(of key: TemplateKey) async throws -> DiskImage { try await shelf.image(of: key) }

    /// Reads the file to its end and compares its bytes, and the tree of a tar, with what was registered.
    public func verify(_ key: TemplateKey, progress: ProgressHandler?) async throws {
        try await shelf.verify(key, progress: progress)
    }

    /// Takes the template's directory away by rename, then removes it.
    public func delete(_ key: TemplateKey) async throws { try await shelf.delete(key) }
}
