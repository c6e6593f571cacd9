// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

/// One call with its arguments, whatever protocol carries it.
enum NFSCall: Sendable {
    case getAttributes(NFSHandle)
    case setAttributes(NFSHandle, NFSNewAttributes, ifUnchangedSince: Timestamp? = nil)
    case lookUp([UInt8], in: NFSHandle)
    case readLink(NFSHandle)
    case read(NFSHandle, offset: UInt64, count: Int)
    case write(NFSHandle, offset: UInt64, SharedBytes, NFSStability)
    case create([UInt8], in: NFSHandle, NFSCreation)
    case makeDirectory([UInt8], in: NFSHandle, NFSNewAttributes)
    case makeSymbolicLink([UInt8], in: NFSHandle, target: [UInt8], NFSNewAttributes)
    case makeNode([UInt8], in: NFSHandle, NFSNode, NFSNewAttributes)
    /// If `of` names the object, only that object loses the name: see ``isRepeatable``.
    case remove([UInt8], in: NFSHandle, of: NFSHandle? = nil)
    case removeDirectory([UInt8], in: NFSHandle, of: NFSHandle? = nil)
    case rename([UInt8], in: NFSHandle, to: [UInt8], below: NFSHandle, of: NFSObject? = nil)
    case link(NFSHandle, [UInt8], in: NFSHandle)
    case list(NFSHandle, NFSDirectoryPosition, size: Int)
    case statistics(NFSHandle)
    case information(NFSHandle)
    case commit(NFSHandle)
    /// The root of all exports, which only NFSv4 has.
    case root
    /// A call of NFSv4 needed to create a file.
    case state(V4StateCall)
}

/// A device or FIFO to make.
public enum NFSNode: Hashable, Sendable {
    /// A character device.
    case characterDevice(major: UInt32, minor: UInt32)
    /// A block device.
    case blockDevice(major: UInt32, minor: UInt32)
    /// A FIFO.
    case fifo

    var type: NFSFileType {
        switch self {
        case .characterDevice: .characterDevice
        case .blockDevice: .blockDevice
        case .fifo: .fifo
        }
    }
}

/// The position in a directory where a listing continues.
struct NFSDirectoryPosition: Sendable, Hashable {
    var cookie: UInt64 = 0
    var verifier: UInt64 = 0
}

/// A server's reply.
enum NFSReply: Sendable {
    /// Nothing else than success; with the attributes afterwards where the server sent them.
    case done(NFSAttributes?)
    /// An object; the server may omit its attributes on creation.
    case object([UInt8]?, NFSAttributes?)
    case data(SharedBytes, isEnd: Bool)
    case written(NFSWritten)
    case committed(NFSVerifier)
    case target([UInt8])
    case entries([NFSDirectoryEntry], NFSDirectoryPosition, isEnd: Bool)
    case statistics(NFSStatistics)
    case information(NFSInformation)
    case state(V4StateReply)
}

extension NFSCall {
    /// The procedure's name in RFC 1813; for what only NFSv4 has the operation's in RFC 7530.
    var procedure: String {
        switch self {
        case .getAttributes: "GETATTR"
        case .setAttributes: "SETATTR"
        case .lookUp: "LOOKUP"
        case .readLink: "READLINK"
        case .read: "READ"
        case .write: "WRITE"
        case .create: "CREATE"
        case .makeDirectory: "MKDIR"
        case .makeSymbolicLink: "SYMLINK"
        case .makeNode: "MKNOD"
        case .remove: "REMOVE"
        case .removeDirectory: "RMDIR"
        case .rename: "RENAME"
        case .link: "LINK"
        case .list: "READDIRPLUS"
        case .statistics: "FSSTAT"
        case .information: "FSINFO"
        case .commit: "COMMIT"
        case .root: "PUTROOTFH"
        case .state(let call): call.procedure
        }
    }

    /// Whether it can be made again unchanged after the server answered it. Calls of an NFSv4 owner have numbers, and a
    /// repeated number gets the same answer.
    var isUnnumbered: Bool {
        switch self {
        case .state(.open), .state(.confirmOwner), .state(.close): false
        default: true
        }
    }

    /// Whether it may be resent unchanged when its answer was lost. A call that removes a name must not: the server may
    /// have executed it, and the name may belong to another object by now.
    var isRepeatable: Bool {
        switch self {
        case .remove(_, _, .some), .removeDirectory(_, _, .some), .rename(_, _, _, _, .some): false
        default: true
        }
    }

    /// The bytes that travel in either direction beside the call itself.
    var payload: Int {
        switch self {
        case .read(_, _, let count): count
        case .write(_, _, let bytes, _): bytes.count
        case .list(_, _, let size): size
        default: 0
        }
    }
}
