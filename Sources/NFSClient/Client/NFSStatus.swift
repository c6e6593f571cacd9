// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// A server's status code, by its name in RFC 1813, section 2.6.
public struct NFSStatus: Hashable, Sendable, CustomStringConvertible {
    /// The number on the wire.
    public let rawValue: UInt32

    /// Creates an NFS status from a number.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The call succeeded.
    public static let ok = NFSStatus(rawValue: 0)
    /// Only the owner or the superuser may do this.
    public static let notOwner = NFSStatus(rawValue: 1)
    /// There is no such name.
    public static let noEntry = NFSStatus(rawValue: 2)
    /// Permission denied.
    public static let access = NFSStatus(rawValue: 13)
    /// The name is taken.
    public static let exists = NFSStatus(rawValue: 17)
    /// A directory was expected.
    public static let notDirectory = NFSStatus(rawValue: 20)
    /// A non-directory was expected.
    public static let isDirectory = NFSStatus(rawValue: 21)
    /// The file system is full.
    public static let noSpace = NFSStatus(rawValue: 28)
    /// The file system is read-only.
    public static let readOnly = NFSStatus(rawValue: 30)
    /// The directory is not empty.
    public static let notEmpty = NFSStatus(rawValue: 66)
    /// The quota is used up.
    public static let quota = NFSStatus(rawValue: 69)
    /// The object the handle stood for is gone.
    public static let stale = NFSStatus(rawValue: 70)
    /// The object changed since the time a call was to depend on.
    public static let notSynchronized = NFSStatus(rawValue: 10_002)
    /// A position in a directory is no longer valid.
    public static let badCookie = NFSStatus(rawValue: 10_003)
    /// The server does not offer this.
    public static let notSupported = NFSStatus(rawValue: 10_004)
    /// A buffer or request was too small.
    public static let tooSmall = NFSStatus(rawValue: 10_005)
    /// The server does not support an object of this type.
    public static let badType = NFSStatus(rawValue: 10_007)
    /// Only NFSv4: the server does not know (any more) whom it promised what.
    static let staleClient = NFSStatus(rawValue: 10_022)
    /// Only NFSv4: the same, because nothing was heard of the client for too long.
    static let expired = NFSStatus(rawValue: 10_011)
    /// The server needs time and asks for another try.
    public static let tryLater = NFSStatus(rawValue: 10_008)

    /// The name of RFC 1813, such as `NFS3ERR_NOSPC`; of RFC 7530 where only NFSv4 has such an answer.
    public var description: String { Self.names[rawValue] ?? "NFS status \(rawValue)" }

    private static let names: [UInt32: String] = [
        0: "NFS3_OK", 1: "NFS3ERR_PERM", 2: "NFS3ERR_NOENT", 5: "NFS3ERR_IO", 6: "NFS3ERR_NXIO", 13: "NFS3ERR_ACCES",
        17: "NFS3ERR_EXIST", 18: "NFS3ERR_XDEV", 19: "NFS3ERR_NODEV", 20: "NFS3ERR_NOTDIR", 21: "NFS3ERR_ISDIR",
        22: "NFS3ERR_INVAL", 27: "NFS3ERR_FBIG", 28: "NFS3ERR_NOSPC", 30: "NFS3ERR_ROFS", 31: "NFS3ERR_MLINK",
        63: "NFS3ERR_NAMETOOLONG", 66: "NFS3ERR_NOTEMPTY", 69: "NFS3ERR_DQUOT", 70: "NFS3ERR_STALE",
        71: "NFS3ERR_REMOTE", 10_001: "NFS3ERR_BADHANDLE", 10_002: "NFS3ERR_NOT_SYNC", 10_003: "NFS3ERR_BAD_COOKIE",
        10_004: "NFS3ERR_NOTSUPP", 10_005: "NFS3ERR_TOOSMALL", 10_006: "NFS3ERR_SERVERFAULT",
        10_007: "NFS3ERR_BADTYPE", 10_008: "NFS3ERR_JUKEBOX",
        10_011: "NFS4ERR_EXPIRED", 10_016: "NFS4ERR_WRONGSEC", 10_017: "NFS4ERR_CLID_INUSE",
        10_018: "NFS4ERR_RESOURCE", 10_021: "NFS4ERR_MINOR_VERS_MISMATCH", 10_022: "NFS4ERR_STALE_CLIENTID",
        10_023: "NFS4ERR_STALE_STATEID", 10_025: "NFS4ERR_BAD_STATEID", 10_026: "NFS4ERR_BAD_SEQID",
        10_036: "NFS4ERR_BADXDR", 10_039: "NFS4ERR_BADOWNER", 10_040: "NFS4ERR_BADCHAR", 10_041: "NFS4ERR_BADNAME",
    ]

    /// The code callers switch on.
    var code: LXCError.Code {
        switch self {
        case .noEntry, .stale: .notFound
        case .exists, .notEmpty: .alreadyExists
        case .notOwner, .access, .readOnly: .permissionDenied
        case .notSupported, .badType: .unsupported
        case .tryLater: .timedOut
        case NFSStatus(rawValue: 10_016): .permissionDenied
        default: .io
        }
    }
}

/// A call a server refused: the procedure's name in RFC 1813, and the answer. The cause of the `LXCError` thrown.
public struct NFSError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The procedure, such as `CREATE`.
    public let procedure: String
    /// The answer.
    public let status: NFSStatus

    /// Creates an NFS error.
    public init(_ procedure: String, _ status: NFSStatus) {
        self.procedure = procedure
        self.status = status
    }

    /// Both, such as `CREATE: NFS3ERR_NOSPC`.
    public var description: String { "\(procedure): \(status)" }
}

extension NFSError: SpaceFailure {
    package var isLackOfSpace: Bool { status == .noSpace || status == .quota }
}

/// Why a call has no reply: the server refused it, or it did not reach the server.
enum NFSFailure: Error {
    case refused(NFSError)
    case failed(LXCError)
    /// The connection broke after a call was sent that must not be sent again without a look.
    case unanswered(LXCError)
    case cancelled

    /// The server's answer, where it was one.
    var status: NFSStatus? {
        guard case .refused(let error) = self else { return nil }
        return error.status
    }

    /// The error for the caller, with the action in `doing`, such as `create "etc/passwd"`.
    func error(_ doing: String, fileID: String = #fileID, line: Int = #line) -> any Error {
        switch self {
        case .refused(let refusal):
            LXCError(refusal.status.code, "cannot \(doing)", cause: refusal, fileID: fileID, line: line)
        case .failed(let error), .unanswered(let error):
            LXCError(error.code, "cannot \(doing)", cause: error, fileID: fileID, line: line)
        case .cancelled: CancellationError()
        }
    }
}
