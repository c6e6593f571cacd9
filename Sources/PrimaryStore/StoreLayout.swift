import LXCCore

/// Where things are below a pool's directory: the specification's `<pool>/<uuid>/`, and one dot directory beside them.
struct StoreLayout: Sendable {
    let root: String

    /// Mode 0700: what is half made is nobody else's to see.
    var control: String { "\(root)/.lxc" }
    /// The pool's identity.
    var pool: String { "\(control)/pool.json" }
    /// Work in progress, as `<uuid>.<random>`.
    var staging: String { "\(control)/staging" }
    /// Deletions in progress, as `<uuid>.<random>`.
    var trash: String { "\(control)/trash" }
    /// What each directory is, as `<uuid>.json`.
    var objects: String { "\(control)/objects" }
    /// Who uses which volume, as `<uuid>.json`.
    var leases: String { "\(control)/leases" }
    /// Who builds or deletes which object, as `<uuid>`.
    var locks: String { "\(control)/locks" }

    var directories: [String] { [control, staging, trash, objects, leases, locks] }

    func object(_ id: Identifier<some Any>) -> String { "\(root)/\(id)" }
    func record(_ id: Identifier<some Any>) -> String { "\(objects)/\(id).json" }
    func lease(_ id: VolumeID) -> String { "\(leases)/\(id).json" }
    func lock(_ id: Identifier<some Any>) -> String { "\(locks)/\(id)" }
    func staged(_ id: Identifier<some Any>) -> String { "\(staging)/\(id).\(RandomName.make())" }
    func trashed(_ id: Identifier<some Any>) -> String { "\(trash)/\(id).\(RandomName.make())" }
}
