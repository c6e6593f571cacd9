// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem

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

    // Both buffers are the most the kernel hands out (XATTR_LIST_MAX, XATTR_SIZE_MAX).
    private static let capacity = 65_536
    private let list = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 1)
    private let value = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 1)

    init() {}

    deinit {
        list.deallocate()
        value.deallocate()
    }

    /// The result of reading an inode's attributes.
    struct Reading {
        /// The attributes a tree carries.
        var attributes: [TreeEntry.Attribute] = []
        /// Kinds of losses: attributes that a tree cannot carry, except those that belong to the host.
        var losses: [String] = []
    }

    /// The kind of loss when there are more names than the kernel lists.
    static let unlisted = "xattr:*"

    /// The attributes of an inode; nil with `errno` set when they cannot be read.
    func read(_ subject: Subject) -> Reading? {
        switch subject {
        case .descriptor(let descriptor):
            return reading(listed: clinux_flistxattr(descriptor, names, list.count)) {
                clinux_fgetxattr(descriptor, $0, value.baseAddress, value.count)
            }
        case .name(let name, let directory):
            return Self.withProcessPath(of: name, in: directory) { path in
                reading(listed: clinux_llistxattr(path, names, list.count)) {
                    clinux_lgetxattr(path, $0, value.baseAddress, value.count)
                }
            }
        }
    }

    /// Sets one attribute. Returns 0 or the errno.
    static func set(_ attribute: TreeEntry.Attribute, of subject: Subject) -> CInt {
        withCString(attribute.name.bytes) { name in
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

    private func reading(listed length: Int, get: (UnsafePointer<CChar>) -> Int) -> Reading? {
        guard length >= 0 else {
            switch errno {
            case EOPNOTSUPP: return Reading()
            // The kernel lists either all names or, beyond 64 KiB, none; files can have more.
            case E2BIG: return wellKnown(get: get)
            default: return nil
            }
        }
        guard length > 0 else { return Reading() }
        var result = Reading()
        for name in list[..<length].split(separator: 0) {
            guard let checked = AttributeName(name) else {
                let name = Array(name)
                if AttributeName.Standing(of: name) != .host {
                    result.losses.append(TreeEntry.Attribute.lossKind(name))
                }
                continue
            }
            guard let base = name.base.baseAddress else { continue }
            guard append(checked, (base + name.startIndex).assumingMemoryBound(to: CChar.self), to: &result, get) else {
                return nil
            }
        }
        return result
    }

    /// Attributes that decide about access are read by name.
    private func wellKnown(get: (UnsafePointer<CChar>) -> Int) -> Reading? {
        var result = Reading(losses: [Self.unlisted])
        for name in [AttributeName.accessACL, .defaultACL, .capability] {
            guard withCString(name.bytes, { append(name, $0, to: &result, get) }) else { return nil }
        }
        return result
    }

    /// Appends an attribute if it exists; false with `errno` set if it cannot be read.
    private func append(
        _ name: AttributeName, _ pointer: UnsafePointer<CChar>, to result: inout Reading,
        _ get: (UnsafePointer<CChar>) -> Int
    ) -> Bool {
        let size = get(pointer)
        guard size >= 0 else { return errno == ENODATA || errno == EOPNOTSUPP }
        result.attributes.append(TreeEntry.Attribute(name: name, value: Array(value[..<size])))
        return true
    }

    private static func withProcessPath<Result>(
        of name: UnsafePointer<CChar>, in directory: CInt, _ body: (UnsafePointer<CChar>) -> Result
    ) -> Result {
        let name = UnsafeBufferPointer(start: name, count: strlen(name)).lazy.map { UInt8(bitPattern: $0) }
        return withCString(Array("/proc/self/fd/\(directory)/".utf8) + name, body)
    }
}

extension ExtendedAttributes.Subject {
    /// A file system that is not full has more than this free.
    private static let reserve: UInt64 = 4 << 20

    /// Interprets ENOSPC: true if the attribute is too large for the inode rather than the file system full. ext4 has
    /// one block for all attributes of an inode, btrfs a leaf for each.
    func isTooSmall(for attribute: TreeEntry.Attribute) -> Bool {
        let descriptor =
            switch self {
            case .descriptor(let descriptor): descriptor
            case .name(_, let directory): directory
            }
        let limit = clinux_btrfs_attribute_limit(descriptor)
        if limit > 0 { return UInt64(attribute.name.bytes.count + attribute.value.count) > limit }
        var status = statvfs()
        guard fstatvfs(descriptor, &status) == 0 else { return false }
        let free = geteuid() == 0 ? status.f_bfree : status.f_bavail
        return UInt64(free) * UInt64(status.f_frsize) > Self.reserve
    }
}
