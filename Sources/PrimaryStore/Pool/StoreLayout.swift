// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LinuxSystem

/// The paths below a pool's directory: the specification's `<uuid>/`, and one dot directory beside them. Paths are
/// relative to the pool's directory.
enum StoreLayout {
    /// Mode 0700: half-made objects are not for others to see.
    static let control = ".lxc"
    /// The pool's identity.
    static let pool = "\(control)/pool.json"
    /// Work in progress, as `<uuid>.<random>`.
    static let staging = "\(control)/staging"
    /// Deletions in progress, as `<uuid>.<random>`.
    static let trash = "\(control)/trash"
    /// The record of each directory, as `<uuid>.json`, and the contents of templates, as `<uuid>.manifest`.
    static let objects = "\(control)/objects"
    /// The user of each volume, as `<uuid>.json`.
    static let leases = "\(control)/leases"
    /// The locks of builds and deletions of objects, as `<uuid>`, if locks have files.
    static let locks = "\(control)/locks"
    /// Dependences, so that no operation has to look through all objects: `<template uuid>/<volume uuid>` for clones of
    /// a template or an image, `uid-<n>/<volume uuid>` for objects to which user `n` of a host passes through the pool.
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
