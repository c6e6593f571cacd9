extension LibvirtConnection {
    /// How long the calls of a connection may take. libvirt itself waits for as long as its daemon hangs.
    public struct Patience: Hashable, Sendable {
        /// Until a daemon has answered for the first time; a system's may be started by that.
        public var opening: Duration
        /// For the answer to a question.
        public var reading: Duration
        /// For something to be done, such as a start; and for a question libvirt has to ask others, such as what the
        /// host's emulators can do.
        public var changing: Duration
        /// How long a cancelled task still waits for something that is being done. After that it is not known whether it
        /// was.
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

    /// What a call does, as far as waiting for it goes.
    enum Call {
        /// It asks; a cancelled task leaves at once.
        case reading
        /// It asks what takes libvirt long to find out.
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
