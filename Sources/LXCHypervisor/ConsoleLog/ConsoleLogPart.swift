// SPDX-License-Identifier: Apache-2.0

extension LXCHypervisor {
    /// A position in a container's console log.
    public struct ConsoleLogPosition: Hashable, Sendable {
        let inode: UInt64
        let offset: Int
    }
}

extension LXCHypervisor {
    /// A part of a container's console log.
    public struct ConsoleLogPart: Hashable, Sendable {
        /// The bytes, as the container wrote them.
        public var bytes: [UInt8]
        /// The position at their end.
        public var position: ConsoleLogPosition
    }
}
