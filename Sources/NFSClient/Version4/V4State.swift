// SPDX-License-Identifier: Apache-2.0

/// The calls by which NFSv4.0 makes a regular file: only OPEN does, and opening is a state the server keeps for a known
/// client (RFC 7530, section 9). All other calls need no state.
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

/// The replies to these calls.
enum V4StateReply: Sendable {
    case client(UInt64, confirmation: UInt64)
    case opened([UInt8], NFSAttributes?, V4StateID, needsConfirmation: Bool)
    case confirmed(V4StateID)
    case done
}

/// The owner that opens a file: its calls are sequential and numbered, so that the server recognizes a resent one.
struct V4Owner: Sendable {
    let number: UInt64
    var sequence: UInt32 = 0
}

/// A server's identifier of an open file (RFC 7530, stateid4).
struct V4StateID: Sendable {
    let sequence: UInt32
    /// Twelve bytes.
    let other: [UInt8]
}
