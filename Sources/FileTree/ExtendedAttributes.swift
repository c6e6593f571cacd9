import CLinux
import Glibc
import LXCCore

/// Reads an inode's extended attributes, with buffers that are allocated once.
final class ExtendedAttributes {
    /// The inode the attributes are asked of.
    enum Subject {
        /// A file or directory that is open.
        case descriptor(CInt)
        /// A name in an open directory, for what cannot be opened: symbolic links, devices, FIFOs. The way leads
        /// through the directory's own magic link and does not follow the name.
        case name(UnsafePointer<CChar>, in: CInt)
    }

    // Both are the most the kernel hands out (XATTR_LIST_MAX, XATTR_SIZE_MAX).
    private static let capacity = 65_536
    private let list = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 1)
    private let value = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 1)

    init() {}

    deinit {
        list.deallocate()
        value.deallocate()
    }

    /// The attributes a tree carries; nil with `errno` set when they cannot be read.
    func read(_ subject: Subject) -> [TreeEntry.Attribute]? {
        switch subject {
        case .descriptor(let descriptor):
            return attributes(listed: clinux_flistxattr(descriptor, names, list.count)) {
                clinux_fgetxattr(descriptor, $0, value.baseAddress, value.count)
            }
        case .name(let name, let directory):
            return Self.withProcessPath(of: name, in: directory) { path in
                attributes(listed: clinux_llistxattr(path, names, list.count)) {
                    clinux_lgetxattr(path, $0, value.baseAddress, value.count)
                }
            }
        }
    }

    /// Sets one attribute. Returns 0 or the errno.
    static func set(_ attribute: TreeEntry.Attribute, of subject: Subject) -> CInt {
        withCString(attribute.name) { name in
            attribute.value.withUnsafeBytes { value in
                let result =
                    switch subject {
                    case .descriptor(let descriptor):
                        clinux_fsetxattr(descriptor, name, value.baseAddress, value.count)
                    case .name(let entry, let directory):
                        withProcessPath(of: entry, in: directory) {
                            clinux_lsetxattr($0, name, value.baseAddress, value.count)
                        }
                    }
                return result == 0 ? 0 : errno
            }
        }
    }

    private var names: UnsafeMutablePointer<CChar>? { list.baseAddress?.assumingMemoryBound(to: CChar.self) }

    private func attributes(listed length: Int, get: (UnsafePointer<CChar>) -> Int) -> [TreeEntry.Attribute]? {
        if length < 0 { return errno == EOPNOTSUPP ? [] : nil }
        var result: [TreeEntry.Attribute] = []
        for name in list[..<length].split(separator: 0) where Self.isCarried(name) {
            guard let base = name.base.baseAddress else { continue }
            let size = get((base + name.startIndex).assumingMemoryBound(to: CChar.self))
            if size >= 0 {
                result.append(TreeEntry.Attribute(name: Array(name), value: Array(value[..<size])))
            } else if errno != ENODATA {
                return nil
            }
        }
        return result
    }

    /// Of the `system` names only POSIX ACLs mean the same on another file system.
    private static func isCarried(_ name: Slice<UnsafeMutableRawBufferPointer>) -> Bool {
        !name.starts(with: "system.".utf8) || name.starts(with: "system.posix_acl_".utf8)
    }

    private static func withProcessPath<Result>(
        of name: UnsafePointer<CChar>, in directory: CInt, _ body: (UnsafePointer<CChar>) -> Result
    ) -> Result {
        let name = UnsafeBufferPointer(start: name, count: strlen(name)).lazy.map { UInt8(bitPattern: $0) }
        return withCString(Array("/proc/self/fd/\(directory)/".utf8) + name, body)
    }
}
