// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
public import LXCCore

/// The states of libvirt's virDomainState.
public enum GuestState: String, Hashable, Sendable, Codable, CaseIterable {
    /// Unknown.
    case noState
    /// Running.
    case running
    /// Waiting for a resource.
    case blocked
    /// Suspended.
    case paused
    /// Shutting down on request.
    case shuttingDown
    /// Not running.
    case shutOff
    /// Ended by a failure of its own.
    case crashed

    /// Whether the guest has processes.
    public var isActive: Bool {
        switch self {
        case .running, .blocked, .paused, .shuttingDown: true
        case .noState, .shutOff, .crashed: false
        }
    }
}

/// A guest as a driver sees it.
public struct Guest: Hashable, Sendable, Codable {
    /// Its name.
    public var name: GuestName
    /// Its UUID.
    public var uuid: UUID
    /// Its state.
    public var state: GuestState
    /// The hypervisor's id of the running guest; for libvirt's LXC driver, the pid of its controller process.
    public var id: Int32?
    /// Whether the hypervisor undefines it when it ends.
    public var isTransient: Bool

    /// Creates a guest.
    public init(name: GuestName, uuid: UUID, state: GuestState, id: Int32? = nil, isTransient: Bool = false) {
        self.name = name
        self.uuid = uuid
        self.state = state
        self.id = id
        self.isTransient = isTransient
    }

    private enum CodingKeys: String, CodingKey { case name, uuid, state, id, isTransient = "transient" }

    /// Reads every value; `isTransient` is false if missing.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            name: values.decode(GuestName.self, forKey: .name), uuid: values.decode(UUID.self, forKey: .uuid),
            state: values.decode(GuestState.self, forKey: .state),
            id: values.decodeIfPresent(Int32.self, forKey: .id),
            isTransient: values.decodeIfPresent(Bool.self, forKey: .isTransient) ?? false)
    }

    /// Writes every value; the UUID in lowercase, as libvirt and the stores write it.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(name, forKey: .name)
        try values.encode(uuid.uuidString.lowercased(), forKey: .uuid)
        try values.encode(state, forKey: .state)
        try values.encodeIfPresent(id, forKey: .id)
        if isTransient { try values.encode(true, forKey: .isTransient) }
    }
}

/// Something that happened to a guest.
public struct GuestEvent: Hashable, Sendable, Codable {
    /// The kind of event.
    public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
        /// It was defined, or its document changed.
        case defined
        /// It was undefined.
        case undefined
        /// It was started.
        case started
        /// It was suspended.
        case suspended
        /// It was resumed.
        case resumed
        /// It ended.
        case stopped
        /// It was asked to end and is shutting down.
        case shutdown
        /// It ended by a failure of its own.
        case crashed
    }

    /// The guest's name.
    public var guest: GuestName
    /// The kind of event.
    public var kind: Kind

    /// Creates a guest event.
    public init(guest: GuestName, kind: Kind) {
        self.guest = guest
        self.kind = kind
    }
}
