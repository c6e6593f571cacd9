// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
public import LXCCore

/// The use of a volume by a host.
public struct VolumeLease: Hashable, Sendable, Codable {
    /// The volume.
    public var volume: VolumeID
    /// The host that uses it.
    public var holder: String
    /// The host's use of the volume, such as a container's name; nil if unspecified.
    public var use: String?
    /// A token that distinguishes this acquisition from every other, also of the same holder; nil for a lease of an
    /// earlier version of this package.
    public var token: UUID?
    /// Since when.
    public var acquired: Date
    /// The time it expires unless it is renewed; nil if never.
    public var expires: Date?

    /// Creates a lease.
    public init(
        volume: VolumeID, holder: String, use: String? = nil, token: UUID? = UUID(), acquired: Date,
        expires: Date? = nil
    ) {
        self.volume = volume
        self.holder = holder
        self.use = use
        self.token = token
        self.acquired = acquired
        self.expires = expires
    }

    /// The lease of a holder that asks for the volume. A lease it holds already for the same use is taken over: the new
    /// one has its own token, and the earlier one can no longer be released.
    ///
    /// - Parameters:
    ///   - present: the lease there is.
    ///   - volume: the volume.
    ///   - holder: the requesting host.
    ///   - use: the purpose; nil takes over any lease of the holder.
    ///   - now: the time by the store's clock; whole seconds of it count.
    ///   - duration: the time after which it expires; nil never.
    /// - Returns: the lease to keep.
    /// - Throws: `LXCError` `inUse` while another holder has it, or the same holder for another use; `invalidArgument`.
    public static func succeeding(
        _ present: VolumeLease?, on volume: VolumeID, for holder: String, use: String? = nil, now: Date,
        lasting duration: Duration?
    ) throws -> VolumeLease {
        guard !holder.isEmpty else {
            throw LXCError(.invalidArgument, "a lease on volume \(volume) needs its holder's name")
        }
        let (now, expires) = try period(on: volume, now, duration)
        guard let present, !present.hasEnded(at: now) else {
            return VolumeLease(volume: volume, holder: holder, use: use, acquired: now, expires: expires)
        }
        let isForAnotherUse = if let known = present.use, let use { known != use } else { false }
        guard present.holder == holder, !isForAnotherUse else { throw present.conflict }
        return VolumeLease(
            volume: volume, holder: holder, use: use ?? present.use, acquired: present.acquired, expires: expires)
    }

    /// The lease renewed by its holder. It is the same lease; an expired one starts anew.
    ///
    /// - Throws: `LXCError` `inUse` if another holder has it, `invalidArgument`.
    public func renewed(by holder: String, now: Date, lasting duration: Duration?) throws -> VolumeLease {
        guard self.holder == holder else { throw conflict }
        let (now, expires) = try Self.period(on: volume, now, duration)
        var lease = self
        if hasEnded(at: now) { lease.acquired = now }
        lease.expires = expires
        return lease
    }

    private static func period(
        on volume: VolumeID, _ now: Date, _ duration: Duration?
    ) throws -> (now: Date, expires: Date?) {
        guard duration.map({ $0 > .zero }) ?? true else {
            throw LXCError(.invalidArgument, "a lease on volume \(volume) needs a duration above zero")
        }
        let now = Date(timeIntervalSince1970: now.timeIntervalSince1970.rounded(.down))
        // Rounded up: a lease is never shorter than was asked for.
        return (now, duration.map { now + ($0 / .seconds(1)).rounded(.up) })
    }

    /// The error where there is no lease to renew.
    public static func missing(on volume: VolumeID, for holder: String) -> LXCError {
        LXCError(.notFound, "\(holder.escapedForDisplay) has no lease on volume \(volume)")
    }

    /// Whether it does not hold any more.
    public func hasEnded(at now: Date) -> Bool { expires.map { $0 < now } ?? false }

    /// Whether both are of one taking of the volume, renewed or not.
    public func isSame(as other: VolumeLease) -> Bool {
        volume == other.volume && holder == other.holder && token == other.token
    }

    /// The error another holder gets.
    public var conflict: LXCError {
        let what = use.map { " for \($0.escapedForDisplay)" } ?? ""
        let end = expires.map { " and until \($0.ISO8601Format())" } ?? ""
        return LXCError(
            .inUse,
            "volume \(volume) is in use by \(holder.escapedForDisplay)\(what) since \(acquired.ISO8601Format())\(end)")
    }
}
