public import LXCCore

/// What this package keeps with a domain, in `<metadata>`: enough to find a container's parts again from libvirt alone.
public struct ContainerMetadata: Hashable, Sendable {
    /// The namespace of the element.
    public static let namespace = "https://lxchypervisor.org/xmlns/domain/1.0"
    /// The prefix the element is written with.
    public static let prefix = "lxc-hypervisor"

    /// The primary store the container's root is in.
    public var pool: PoolID
    /// The container's root.
    public var volume: VolumeID
    /// The template the root was made from.
    public var template: TemplateID?
    /// Whom the embedding program made the container for.
    public var owner: String?

    /// Takes the four values.
    public init(pool: PoolID, volume: VolumeID, template: TemplateID? = nil, owner: String? = nil) {
        self.pool = pool
        self.volume = volume
        self.template = template
        self.owner = owner
    }
}
