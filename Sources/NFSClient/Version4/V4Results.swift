// SPDX-License-Identifier: Apache-2.0

#if NFS
import CLibNFS
import FileTree
import Glibc
import LXCCore

/// Results of a COMPOUND in this package's form. What libnfs decoded is valid during its callback only, so everything is
/// copied.
extension NFSCall {
    /// Reads the result of this call; `room` has what was read, where the call brought memory for it.
    func v4Reply(_ data: UnsafeMutableRawPointer, _ room: NFSReadRoom?) -> Result<NFSReply, NFSFailure> {
        let result = data.load(as: COMPOUND4res.self)
        let status = NFSStatus(v4: result.status.rawValue)
        guard status == .ok else { return .failure(.refused(NFSError(procedure, status))) }
        let results = V4ResultList(
            operations: UnsafeBufferPointer(
                start: result.resarray.resarray_val, count: Int(result.resarray.resarray_len)))
        do {
            if let reply = try reply(results, room) { return .success(reply) }
        } catch let error as LXCError {
            return .failure(.failed(error))
        } catch {}
        return .failure(.failed(LXCError(.corrupt, "the NFS server's reply to \(procedure) makes no sense")))
    }

    private func reply(_ results: V4ResultList, _ room: NFSReadRoom?) throws -> NFSReply? {
        switch self {
        case .getAttributes, .setAttributes, .link: return .done(try results.attributes())
        case .root, .lookUp, .makeDirectory, .makeSymbolicLink, .makeNode:
            return .object(try results.handle(), try results.attributes())
        case .remove, .removeDirectory, .rename: return .done(nil)
        case .readLink: return .target(bytes(try results[OP_READLINK].opreadlink.READLINK4res_u.resok4.link))
        case .read(_, _, let count):
            return contents(try results[OP_READ].opread.READ4res_u.resok4, count, room)
        case .write(_, _, let bytes, _):
            // If a WRITE has to be the last operation, no attributes follow it.
            let attributes = clibnfs_borrows_memory() ? nil : try results.attributes()
            return written(try results[OP_WRITE].opwrite.WRITE4res_u.resok4, bytes.count, attributes)
        case .commit:
            return .committed(
                NFSVerifier(rawValue: number(try results[OP_COMMIT].opcommit.COMMIT4res_u.resok4.writeverf)))
        case .list(let directory, _, _):
            return try listed(results[OP_READDIR].opreaddir.READDIR4res_u.resok4, in: directory)
        case .statistics: return .statistics(try results.values().statistics())
        case .information:
            return .information(try results.values().information(largestWrite: V4Wire.largestWrite))
        case .state(let call): return .state(try call.reply(results))
        case .create: return nil
        }
    }

    private func contents(_ result: READ4resok, _ wanted: Int, _ room: NFSReadRoom?) -> NFSReply? {
        let count = Int(result.data.data_len)
        guard count <= wanted else { return nil }
        return .data(NFSReadRoom.contents(result.data.data_val, count, room), isEnd: result.eof != 0)
    }

    private func written(_ result: WRITE4resok, _ given: Int, _ attributes: NFSAttributes?) -> NFSReply? {
        // A server that writes nothing would be asked endlessly.
        guard result.count <= given, result.count > 0 || given == 0,
            let stability = NFSStability(rawValue: result.committed.rawValue)
        else { return nil }
        return .written(
            NFSWritten(
                count: Int(result.count), stability: stability,
                verifier: NFSVerifier(rawValue: number(result.writeverf)),
                attributes: attributes))
    }

    private func listed(_ result: READDIR4resok, in directory: NFSHandle) throws -> NFSReply? {
        var entries: [NFSDirectoryEntry] = []
        var position = NFSDirectoryPosition(cookie: 0, verifier: number(result.cookieverf))
        var next = result.reply.entries
        while let entry = next?.pointee {
            next = entry.nextentry
            position.cookie = entry.cookie
            let name = bytes(entry.name)
            // A name that means a path could lead anywhere.
            guard !name.isEmpty, name != [46], name != [46, 46], !name.contains(UInt8(ascii: "/")), !name.contains(0)
            else { return nil }
            let values = try V4Values(entry.attrs)
            let attributes = values.isError ? nil : try values.attributes()
            entries.append(
                NFSDirectoryEntry(
                    name: name, fileID: attributes?.fileID ?? 0,
                    handle: values.handle.map { NFSHandle(bytes: $0, path: directory.pathOf(name)) },
                    attributes: attributes))
        }
        return .entries(entries, position, isEnd: result.reply.eof != 0)
    }
}

extension V4StateCall {
    fileprivate func reply(_ results: V4ResultList) throws -> V4StateReply {
        switch self {
        case .introduce:
            let result = try results[OP_SETCLIENTID].opsetclientid.SETCLIENTID4res_u.resok4
            return .client(result.clientid, confirmation: number(result.setclientid_confirm))
        case .open:
            let result = try results[OP_OPEN].opopen.OPEN4res_u.resok4
            return .opened(
                try results.handle(), try results.attributes(), result.stateid.state,
                needsConfirmation: result.rflags & UInt32(OPEN4_RESULT_CONFIRM) != 0)
        case .confirmOwner:
            return .confirmed(
                try results[OP_OPEN_CONFIRM].opopen_confirm.OPEN_CONFIRM4res_u.resok4.open_stateid.state)
        case .confirmClient, .close: return .done
        }
    }
}

/// The results of a COMPOUND's operations, all of which succeeded.
private struct V4ResultList {
    let operations: UnsafeBufferPointer<nfs_resop4>

    typealias Value = nfs_resop4.__Unnamed_union_nfs_resop4_u

    /// The result of an operation.
    ///
    /// - Throws: `LXCError` `corrupt` if it is missing.
    subscript(operation: nfs_opnum4) -> Value {
        get throws {
            guard let result = operations.first(where: { $0.resop == operation }) else {
                throw NFSClient.senseless("COMPOUND")
            }
            return result.nfs_resop4_u
        }
    }

    func values() throws -> V4Values { try V4Values(self[OP_GETATTR].opgetattr.GETATTR4res_u.resok4.obj_attributes) }

    func attributes() throws -> NFSAttributes { try values().attributes() }

    func handle() throws -> [UInt8] {
        let handle = try self[OP_GETFH].opgetfh.GETFH4res_u.resok4.object
        guard (1...128).contains(handle.nfs_fh4_len) else { throw NFSClient.senseless("GETFH") }
        return Array(UnsafeRawBufferPointer(start: handle.nfs_fh4_val, count: Int(handle.nfs_fh4_len)))
    }
}

private func bytes(_ text: utf8string) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: text.utf8string_val, count: Int(text.utf8string_len)))
}

/// Eight opaque bytes as a number that is stored as it came.
private func number<Bytes>(_ bytes: Bytes) -> UInt64 {
    withUnsafeBytes(of: bytes) { $0.loadUnaligned(as: UInt64.self) }
}

extension NFSStatus {
    /// Creates an NFS status from a number of NFSv4; what version 3 has a name for gets that.
    fileprivate init(v4 number: UInt32) {
        switch number {
        // NFS4ERR_GRACE: the server was restarted and waits for its old clients.
        case 10_013: self = .tryLater
        // NFS4ERR_FHEXPIRED
        case 10_014: self = .stale
        // NFS4ERR_NOFILEHANDLE and others keep their numbers; NFS4ERR_SYMLINK means that the object is not a directory.
        case 10_029: self = .notDirectory
        default: self.init(rawValue: number)
        }
    }
}
#endif
