import LXCCore

extension Guest {
    /// The process id on this host of a container's process 1; nil when it does not run here.
    ///
    /// It is a child of the container's controller, whose process id is ``id``. Nothing the container controls is
    /// consulted.
    public var initProcess: Int32? {
        id.flatMap { try? GuestInit(childOf: $0, shown: "\(name)").number }
    }
}
