// SPDX-License-Identifier: Apache-2.0

extension LibvirtConnection {
    /// Time limits for the calls of a connection. libvirt itself waits as long as its daemon hangs.
    public struct Patience: Hashable, Sendable {
        /// Until a daemon has answered for the first time; a system's may be started by that.
        public var opening: Duration
        /// For the answer to a question.
        public var reading: Duration
        /// For changes, such as a start; and for queries that libvirt passes on to others, such as the capabilities of
        /// the host's emulators.
        public var changing: Duration
        /// The time a cancelled task still waits for a change in progress. After that its result is unknown.
        public var afterCancellation: Duration

        /// Creates time limits; by default half a minute for answers and two minutes for changes.
        public init(
            opening: Duration = .seconds(30), reading: Duration = .seconds(30), changing: Duration = .seconds(120),
            afterCancellation: Duration = .seconds(10)
        ) {
            self.opening = opening
            self.reading = reading
            self.changing = changing
            self.afterCancellation = afterCancellation
        }
    }

    /// The kind of a call, which decides how callers wait for it.
    enum Call {
        /// A query; a cancelled task leaves immediately.
        case reading
        /// A query that takes libvirt long.
        case slowReading
        /// It changes something; a cancelled task sees it done if it can.
        case changing
        /// It has a guest do something, which has so many seconds for it.
        case asking(Int32)
    }
}

extension LibvirtConnection.Patience {
    func limit(of call: LibvirtConnection.Call) -> Duration {
        switch call {
        case .reading: reading
        case .slowReading, .changing: changing
        case .asking(let seconds): changing + .seconds(max(0, Int(seconds)))
        }
    }

    func grace(of call: LibvirtConnection.Call) -> Duration {
        switch call {
        case .reading, .slowReading: .zero
        case .changing, .asking: afterCancellation
        }
    }
}
