extension LXCHypervisor {
    /// A place in a container's console log.
    public struct ConsoleLogPosition: Hashable, Sendable {
        let inode: UInt64
        let offset: Int
    }
}

extension LXCHypervisor {
    /// What stands in a container's console log.
    public struct ConsoleLogPart: Hashable, Sendable {
        /// The bytes, as the container wrote them.
        public var bytes: [UInt8]
        /// Where they end.
        public var position: ConsoleLogPosition
    }
}
