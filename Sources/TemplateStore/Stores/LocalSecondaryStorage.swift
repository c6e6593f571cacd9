// SPDX-License-Identifier: Apache-2.0

public import LXCCore
public import Logging
import StoreFiles

/// Secondary storage in a directory of this host, laid out as CloudStack does:
/// `<path>/template/tmpl/<account>/<id>/<uuid>.tar` beside `template.properties`.
///
/// A registration is built under a hidden name and published by rename, under a lock that other programs and hosts
/// respect. An interrupted download stands under a hidden name as well, until the next registration of the same URL as
/// the same template resumes it, or the template is deleted.
public struct LocalSecondaryStorage: ShelvedTemplateStore, DiskImageStore {
    /// The directory that holds `template/`.
    public let path: String

    /// The templates of the directory.
    public let shelf: TemplateShelf

    /// Creates a local secondary storage from a directory, which must exist when it is used.
    ///
    /// - Parameters:
    ///   - path: the directory that holds, or will hold, `template/`.
    ///   - pool: threads for file operations. Downloads have threads of their own.
    ///   - logger: receives messages about the store's work, at `info`.
    public init(
        path: String, pool: BlockingPool = .shared, logger: Logger = Logger(label: "lxc-hypervisor.templates")
    ) {
        self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        shelf = TemplateShelf(in: LocalStoreFiles(self.path, pool: pool), threads: pool, logger: logger)
    }
}
