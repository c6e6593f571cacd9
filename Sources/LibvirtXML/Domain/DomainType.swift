// SPDX-License-Identifier: Apache-2.0

/// The kind of guest a domain is: the `type` of `<domain>`.
public enum DomainType: String, Hashable, Sendable, Codable, CaseIterable {
    /// A container of libvirt's LXC driver.
    case lxc
    /// A virtual machine with hardware help.
    case kvm
    /// A virtual machine emulated in software.
    case qemu
    /// A guest of libvirt's test driver, which exists in memory alone.
    case test
}

/// libvirt's action when a guest powers off or reboots.
public enum LifecycleAction: String, Hashable, Sendable, Codable, CaseIterable {
    /// The guest is stopped and its resources are released.
    case destroy
    /// The guest is started again with the same configuration.
    case restart
    /// The guest is stopped and its resources are kept for a look at them.
    case preserve
    /// The guest is started again under a new name.
    case renameRestart = "rename-restart"
}

/// libvirt's action when a guest crashes.
public enum CrashAction: String, Hashable, Sendable, Codable, CaseIterable {
    /// The guest is stopped and its resources are released.
    case destroy
    /// The guest is started again with the same configuration.
    case restart
    /// The guest is stopped and its resources are kept for a look at them.
    case preserve
    /// The guest is started again under a new name.
    case renameRestart = "rename-restart"
    /// The guest's memory is dumped, then the guest is stopped.
    case coredumpDestroy = "coredump-destroy"
    /// The guest's memory is dumped, then the guest is started again.
    case coredumpRestart = "coredump-restart"
}

/// The base of the guest's clock.
public enum ClockOffset: String, Hashable, Sendable, Codable, CaseIterable {
    /// Coordinated universal time.
    case utc
    /// The host's local time.
    case localTime = "localtime"
}

/// The model of a guest's memory balloon.
public enum MemoryBalloonModel: String, Hashable, Sendable, Codable, CaseIterable {
    /// No balloon: the guest's memory does not change.
    case none
    /// The virtio balloon.
    case virtio
    /// The virtio balloon on a PCI slot that also supports old guests.
    case virtioTransitional = "virtio-transitional"
    /// The virtio balloon for guests that speak virtio 1 alone.
    case virtioNonTransitional = "virtio-non-transitional"
    /// Xen's balloon.
    case xen
}
