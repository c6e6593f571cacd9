// SPDX-License-Identifier: Apache-2.0

public import LXCCore

/// A directory or file system given to a guest: libvirt's `<filesystem>`.
public struct Filesystem: Hashable, Sendable {
    /// The origin of the files.
    public enum Source: Hashable, Sendable {
        /// A directory of the host.
        case mount(String)
        /// A directory of the container itself, shown at a second place.
        case bind(String)
        /// A file of the host that holds a file system.
        case file(String)
        /// A block device of the host that holds a file system.
        case block(String)
        /// Memory, at most as much as given. Written in KiB, rounded up.
        case ram(ByteCount)
        /// A type unknown to this model; its `<source>` stays in ``Filesystem/other``.
        case other(type: String)
    }

    /// The user whose permissions apply when the guest opens a file.
    public enum AccessMode: String, Hashable, Sendable, Codable, CaseIterable {
        /// The user's in the guest.
        case passthrough
        /// Those of the program that runs the guest, with the guest's own kept beside the file.
        case mapped
        /// Those of the program that runs the guest; a failure to change an owner is ignored.
        case squash
    }

    /// The origin of the files.
    public var source: Source
    /// The mount point in a container, an absolute path; for a virtual machine the tag to mount them by.
    public var target: String
    /// Whether the guest can only read.
    public var isReadOnly: Bool
    /// The user whose permissions apply; `nil` leaves it to libvirt.
    public var accessMode: AccessMode?
    /// The parts of the element no property models; the element's name is of no account.
    public var other = XMLFragment("filesystem")

    /// A source shown at a target.
    public init(_ source: Source, target: String, isReadOnly: Bool = false) {
        self.source = source
        self.target = target
        self.isReadOnly = isReadOnly
    }
}
