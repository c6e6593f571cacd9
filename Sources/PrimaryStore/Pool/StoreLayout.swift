import LXCCore
import LinuxSystem

/// Where things are below a pool's directory: the specification's `<uuid>/`, and one dot directory beside them. Paths
/// are relative to the pool's directory.
enum StoreLayout {
    /// Mode 0700: what is half made is nobody else's to see.
    static let control = ".lxc"
    /// The pool's identity.
    static let pool = "\(control)/pool.json"
    /// Work in progress, as `<uuid>.<random>`.
    static let staging = "\(control)/staging"
    /// Deletions in progress, as `<uuid>.<random>`.
    static let trash = "\(control)/trash"
    /// What each directory is, as `<uuid>.json`, and of templates what is in them, as `<uuid>.manifest`.
    static let objects = "\(control)/objects"
    /// Who uses which volume, as `<uuid>.json`.
    static let leases = "\(control)/leases"
    /// Who builds or deletes which object, as `<uuid>`, where locks have files.
    static let locks = "\(control)/locks"
    /// What depends on what, so that nobody has to look through all: `<template uuid>/<volume uuid>` for what was made of a
    /// template or an image, `uid-<n>/<volume uuid>` for what user `n` of a host passes through the pool to.
    static let claims = "\(control)/claims"
    /// Says that every object has its claims: a pool made by an earlier version gets them when they are first asked for.
    static let claimsComplete = "\(claims)/complete"
    /// Files that are removed to make room for the file of a lock, where locks have files.
    static let reserve = "\(control)/reserve"

    static let directories = [control, staging, trash, objects, leases, locks, claims, reserve]

    static func object(_ id: Identifier<some Any>) -> String { "\(id)" }
    static func record(_ id: Identifier<some Any>) -> String { "\(objects)/\(id).json" }
    static func manifest(_ id: Identifier<some Any>) -> String { "\(objects)/\(id).manifest" }
    static func lease(_ id: VolumeID) -> String { "\(leases)/\(id).json" }
    static func lock(_ id: Identifier<some Any>) -> String { "\(locks)/\(id)" }
    static func claims(on base: Identifier<some Any>) -> String { "\(claims)/\(base)" }
    static func claims(ofUser user: UInt32) -> String { "\(claims)/\(userPrefix)\(user)" }
    static let userPrefix = "uid-"
    /// The lock of the place's own access.
    static let passageLock = "\(locks)/passage"
    static func staged(_ id: Identifier<some Any>) -> String { "\(staging)/\(id).\(RandomName.make())" }
    static func trashed(_ id: Identifier<some Any>) -> String { "\(trash)/\(id).\(RandomName.make())" }
}
