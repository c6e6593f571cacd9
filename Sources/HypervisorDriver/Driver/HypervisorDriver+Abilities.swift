public import LXCCore
public import LibvirtXML

extension HypervisorCapabilities {
    /// A signal of one's choice can be sent to a guest's process 1.
    public static let signal = Self(rawValue: 1 << 8)
    /// Limits can be read, and changed while a guest runs.
    public static let limits = Self(rawValue: 1 << 9)
    /// Guests can be started that are forgotten when they end.
    public static let transient = Self(rawValue: 1 << 10)
    /// The hypervisor can start guests when it starts itself.
    public static let autostart = Self(rawValue: 1 << 11)
    /// Disks can be made for guests.
    public static let disks = Self(rawValue: 1 << 12)
    /// An agent inside guests writes files.
    public static let agent = Self(rawValue: 1 << 13)
}

/// What a driver need not have: each says so with `unsupported`, and so says `capabilities`.
extension HypervisorDriver {
    /// Refuses.
    public func create(_ domain: Domain) async throws { throw lacking("start guests that are forgotten at their end") }

    /// Refuses.
    public func send(_ signal: GuestSignal, to guest: GuestName) async throws {
        throw lacking("send signals to its guests")
    }

    /// Refuses.
    public func limits(of guest: GuestName) async throws -> GuestLimits { throw lacking("tell limits") }

    /// Refuses.
    public func setLimits(_ limits: GuestLimits, of guest: GuestName) async throws {
        throw lacking("change limits")
    }

    /// Leaves nothing.
    public func tidy(_ guest: Guest) async throws {}

    /// Has nothing to add.
    public func confine(_ guest: GuestName) async throws {}

    /// Refuses.
    public func isAutostarted(_ guest: GuestName) async throws -> Bool { throw lacking("start guests by itself") }

    /// Refuses.
    public func setAutostart(_ isOn: Bool, of guest: GuestName) async throws {
        throw lacking("start guests by itself")
    }

    /// Refuses.
    public func createDisk(_ volume: StorageVolume, in pool: DirectoryStoragePool) async throws {
        throw lacking("make disks")
    }

    /// Refuses.
    public func writeFile(
        _ contents: [UInt8], to path: String, in guest: GuestName, within limit: Duration
    ) async throws {
        throw lacking("write files inside its guests")
    }

    /// Asks for one guest after the other.
    public func statistics() async throws -> [GuestName: GuestStatistics] {
        var all: [GuestName: GuestStatistics] = [:]
        for guest in try await guests() where guest.state.isActive {
            do {
                all[guest.name] = try await statistics(of: guest.name)
            } catch let error as LXCError where [.notFound, .invalidState].contains(error.code) {
                // It has just ended.
            }
        }
        return all
    }

    /// Defines the guest's document with the metadata changed.
    public func setContainerMetadata(_ metadata: ContainerMetadata, of guest: GuestName) async throws {
        var domain = try await definition(of: guest)
        try domain.setContainerMetadata(metadata)
        try await define(domain)
    }

    private func lacking(_ ability: String) -> LXCError {
        LXCError(.unsupported, "the hypervisor driver \(name) cannot \(ability)")
    }
}
