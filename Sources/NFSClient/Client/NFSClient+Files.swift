// SPDX-License-Identifier: Apache-2.0

public import FileTree
package import FoundationEssentials
public import LXCCore

extension NFSClient {
    // MARK: Attributes

    /// The attributes of an object (GETATTR).
    ///
    /// - Throws: `LXCError` `notFound` when it is gone, and as ``NFSClient`` says.
    public func attributes(of handle: NFSHandle) async throws -> NFSAttributes {
        guard case .done(let attributes?) = try await perform(.getAttributes(handle), "look at \"\(handle)\"") else {
            throw Self.senseless("GETATTR")
        }
        return attributes
    }

    /// Sets attributes (SETATTR).
    ///
    /// - Parameters:
    ///   - attributes: the attributes to set.
    ///   - handle: the object.
    ///   - time: sets nothing unless the object's attributes last changed then (sattrguard3). A server checks this and
    ///     sets in one; a call sent again after its reply was lost meets its own change.
    /// - Returns: the new attributes where the server sends them.
    /// - Throws: `LXCError` `permissionDenied`, `io`; with ``NFSStatus/notSynchronized`` as its cause when the object
    ///   changed.
    @discardableResult
    public func setAttributes(
        _ attributes: NFSNewAttributes, of handle: NFSHandle, ifUnchangedSince time: Timestamp? = nil
    ) async throws -> NFSAttributes? {
        let call = NFSCall.setAttributes(handle, attributes, ifUnchangedSince: time)
        guard case .done(let result) = try await perform(call, "set attributes of \"\(handle)\"") else {
            throw Self.senseless("SETATTR")
        }
        return result
    }

    /// Sets attributes as ``setAttributes(_:of:ifUnchangedSince:)`` does; asks for the new ones where the server does not
    /// send them.
    package func setAndRead(
        _ attributes: NFSNewAttributes, of handle: NFSHandle, ifUnchangedSince time: Timestamp? = nil
    ) async throws -> NFSAttributes {
        let sent = try await setAttributes(attributes, of: handle, ifUnchangedSince: time)
        return if let sent { sent } else { try await self.attributes(of: handle) }
    }

    /// The server's clock, read by touching one of its objects.
    package func serverTime(touching handle: NFSHandle) async throws -> Date {
        try await setAndRead(NFSNewAttributes(accessed: .now), of: handle).changed.date
    }

    // MARK: Contents

    /// The most one read brings and one write sends in this client, in bytes. Larger calls gain nothing, and smaller ones
    /// share the connection better.
    static let largestTransfer = 256 << 10

    /// The maximum number of bytes one ``read(_:at:count:)`` returns.
    public var readSize: Int { Self.transferSize(information.maximumRead) }

    /// The maximum number of bytes one ``write(_:to:at:_:)`` writes.
    public var writeSize: Int { Self.transferSize(information.maximumWrite) }

    private static func transferSize(_ maximum: UInt32) -> Int { min(max(Int(maximum), 512), largestTransfer) }

    /// Reads part of a file (READ): at most ``readSize`` bytes, fewer at its end or when the server likes. `isEnd` says
    /// that nothing follows.
    ///
    /// - Throws: `LXCError` `notFound`, `permissionDenied`, `io`.
    public func read(
        _ handle: NFSHandle, at offset: UInt64, count: Int
    ) async throws -> (bytes: SharedBytes, isEnd: Bool) {
        let call = NFSCall.read(handle, offset: offset, count: min(count, readSize))
        guard case .data(let bytes, let isEnd) = try await perform(call, "read \"\(handle)\"") else {
            throw Self.senseless("READ")
        }
        return (bytes, isEnd)
    }

    /// Reads a whole file that has at most `limit` bytes.
    ///
    /// - Throws: `LXCError` `limitExceeded`, and as ``read(_:at:count:)``.
    public func contents(of handle: NFSHandle, limit: Int) async throws -> [UInt8] {
        var result: [UInt8] = []
        while true {
            let (bytes, isEnd) = try await read(handle, at: UInt64(result.count), count: readSize)
            bytes.withUnsafeBytes { result += $0 }
            guard result.count <= limit else {
                throw LXCError(.limitExceeded, "\"\(handle)\" has more than \(limit) bytes")
            }
            if isEnd { return result }
            guard !bytes.isEmpty else { throw Self.senseless("READ") }
        }
    }

    /// Writes to a file (WRITE): at most ``writeSize`` bytes, of which the server may take fewer.
    ///
    /// Bytes written `.unstable` are safe only once ``commit(_:)`` has returned the write's verifier; with another
    /// verifier they may be lost and must be written again.
    ///
    /// - Throws: `LXCError` `permissionDenied`, `io` with `NFS3ERR_NOSPC` among the causes.
    @discardableResult
    public func write(
        _ bytes: SharedBytes, to handle: NFSHandle, at offset: UInt64, _ stability: NFSStability
    ) async throws -> NFSWritten {
        let call = NFSCall.write(handle, offset: offset, bytes.prefix(writeSize), stability)
        guard case .written(let written) = try await perform(call, "write \"\(handle)\"") else {
            throw Self.senseless("WRITE")
        }
        return written
    }

    /// Brings everything written to a file to the disk (COMMIT).
    ///
    /// - Throws: `LXCError` `io`.
    public func commit(_ handle: NFSHandle) async throws -> NFSVerifier {
        guard case .committed(let verifier) = try await perform(.commit(handle), "commit \"\(handle)\"") else {
            throw Self.senseless("COMMIT")
        }
        return verifier
    }

    // MARK: The file system

    /// The space there is (FSSTAT).
    ///
    /// - Throws: as ``NFSClient`` says.
    public func statistics() async throws -> NFSStatistics {
        guard case .statistics(let result) = try await perform(.statistics(root), "ask for the space") else {
            throw Self.senseless("FSSTAT")
        }
        return result
    }
}

extension Timestamp {
    /// The same as Foundation has it.
    package var date: Date { Date(timeIntervalSince1970: Double(seconds) + Double(nanoseconds) / 1e9) }
}
