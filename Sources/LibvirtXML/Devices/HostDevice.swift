// SPDX-License-Identifier: Apache-2.0

/// A device of the host given to a guest: libvirt's `<hostdev>`.
public struct HostDevice: Hashable, Sendable {
    /// The device.
    public enum Source: Hashable, Sendable {
        /// A block device, by its path on the host; a container finds it under the same path.
        case storage(String)
        /// A character device, by its path on the host; a container finds it under the same path.
        case character(String)
        /// A network device, by name; it leaves the host while the container runs.
        case network(String)
        /// A device unknown to this model; all of it stays in ``HostDevice/other``.
        case other
    }

    /// The device.
    public var source: Source
    /// The parts of the element no property models; the element's name is of no account.
    public var other = XMLFragment("hostdev")

    /// Gives a device.
    public init(_ source: Source) { self.source = source }
}
