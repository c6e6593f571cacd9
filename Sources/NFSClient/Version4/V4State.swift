/// The calls by which NFSv4.0 makes a regular file: only OPEN does, and opening is a state the server keeps for a client
/// it knows (RFC 7530, section 9). Everything else is done without one.
enum V4StateCall: Sendable {
    /// Introduces a client by its name and a number that is another for each of its starts.
    case introduce(name: [UInt8], start: UInt64)
    /// Says that the answer to that arrived.
    case confirmClient(UInt64, UInt64)
    /// Creates a file and opens it.
    case open([UInt8], in: NFSHandle, NFSCreation, client: UInt64, V4Owner)
    /// Says that it was this owner's first OPEN.
    case confirmOwner(NFSHandle, V4StateID, sequence: UInt32)
    case close(NFSHandle, V4StateID, sequence: UInt32)

    /// The operation's name in RFC 7530.
    var procedure: String {
        switch self {
        case .introduce: "SETCLIENTID"
        case .confirmClient: "SETCLIENTID_CONFIRM"
        case .open: "OPEN"
        case .confirmOwner: "OPEN_CONFIRM"
        case .close: "CLOSE"
        }
    }
}

/// What came back of them.
enum V4StateReply: Sendable {
    case client(UInt64, confirmation: UInt64)
    case opened([UInt8], NFSAttributes?, V4StateID, needsConfirmation: Bool)
    case confirmed(V4StateID)
    case done
}

/// In whose name a file is opened: one after the other, numbered, so that the server knows a call that was sent twice.
struct V4Owner: Sendable {
    let number: UInt64
    var sequence: UInt32 = 0
}

/// What the server calls an open file (RFC 7530, stateid4).
struct V4StateID: Sendable {
    let sequence: UInt32
    /// Twelve bytes.
    let other: [UInt8]
}
