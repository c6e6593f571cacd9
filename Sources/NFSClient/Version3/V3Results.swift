// SPDX-License-Identifier: Apache-2.0

#if NFS
import CLibNFS
import FileTree
import Glibc
import LXCCore

/// Replies in this package's form. What libnfs decoded is valid during its callback only, so everything is copied.
extension NFSCall {
    /// Reads the result of this call; `room` has what was read, where the call brought memory for it.
    func reply(_ data: UnsafeMutableRawPointer, _ room: NFSReadRoom?) -> Result<NFSReply, NFSFailure> {
        // Every result begins with the status.
        let status = NFSStatus(rawValue: data.load(as: nfsstat3.self).rawValue)
        guard status == .ok else { return .failure(.refused(NFSError(procedure, status))) }
        guard let reply = successfulReply(data, room) else {
            return .failure(.failed(LXCError(.corrupt, "the NFS server's reply to \(procedure) makes no sense")))
        }
        return .success(reply)
    }

    private func successfulReply(_ data: UnsafeMutableRawPointer, _ room: NFSReadRoom?) -> NFSReply? {
        switch self {
        case .getAttributes:
            NFSAttributes(data.result(GETATTR3res.self).GETATTR3res_u.resok.obj_attributes).map { .done($0) }
        case .setAttributes:
            .done(NFSAttributes(data.result(SETATTR3res.self).SETATTR3res_u.resok.obj_wcc.after))
        case .lookUp: lookedUp(data.result(LOOKUP3res.self).LOOKUP3res_u.resok)
        case .readLink: data.result(READLINK3res.self).READLINK3res_u.resok.data.map { .target(bytes($0)) }
        case .read(_, _, let count): contents(data.result(READ3res.self).READ3res_u.resok, count, room)
        case .write(_, _, let bytes, _): written(data.result(WRITE3res.self).WRITE3res_u.resok, bytes.count)
        case .create:
            made(
                data.result(CREATE3res.self).CREATE3res_u.resok.obj,
                data.result(CREATE3res.self).CREATE3res_u.resok.obj_attributes)
        case .makeDirectory:
            made(
                data.result(MKDIR3res.self).MKDIR3res_u.resok.obj,
                data.result(MKDIR3res.self).MKDIR3res_u.resok.obj_attributes)
        case .makeSymbolicLink:
            made(
                data.result(SYMLINK3res.self).SYMLINK3res_u.resok.obj,
                data.result(SYMLINK3res.self).SYMLINK3res_u.resok.obj_attributes)
        case .makeNode:
            made(
                data.result(MKNOD3res.self).MKNOD3res_u.resok.obj,
                data.result(MKNOD3res.self).MKNOD3res_u.resok.obj_attributes)
        case .remove, .removeDirectory, .rename: .done(nil)
        case .link: .done(NFSAttributes(data.result(LINK3res.self).LINK3res_u.resok.file_attributes))
        case .list(let directory, _, _):
            listed(data.result(READDIRPLUS3res.self).READDIRPLUS3res_u.resok, in: directory)
        case .statistics: .statistics(NFSStatistics(data.result(FSSTAT3res.self).FSSTAT3res_u.resok))
        case .information: .information(NFSInformation(data.result(FSINFO3res.self).FSINFO3res_u.resok))
        case .commit: .committed(NFSVerifier(data.result(COMMIT3res.self).COMMIT3res_u.resok.verf))
        case .root, .state: nil
        }
    }

    private func lookedUp(_ result: LOOKUP3resok) -> NFSReply? {
        bytes(result.object).map { .object($0, NFSAttributes(result.obj_attributes)) }
    }

    private func made(_ handle: post_op_fh3, _ attributes: post_op_attr) -> NFSReply {
        .object(
            handle.handle_follows != 0 ? bytes(handle.post_op_fh3_u.handle) : nil, NFSAttributes(attributes))
    }

    private func contents(_ result: READ3resok, _ wanted: Int, _ room: NFSReadRoom?) -> NFSReply? {
        let count = Int(result.data.data_len)
        guard count <= wanted else { return nil }
        return .data(NFSReadRoom.contents(result.data.data_val, count, room), isEnd: result.eof != 0)
    }

    private func written(_ result: WRITE3resok, _ given: Int) -> NFSReply? {
        // A server that writes nothing would be asked endlessly.
        guard result.count <= given, result.count > 0 || given == 0,
            let stability = NFSStability(rawValue: result.committed.rawValue)
        else { return nil }
        return .written(
            NFSWritten(
                count: Int(result.count), stability: stability, verifier: NFSVerifier(result.verf),
                attributes: NFSAttributes(result.file_wcc.after)))
    }

    private func listed(_ result: READDIRPLUS3resok, in directory: NFSHandle) -> NFSReply? {
        var entries: [NFSDirectoryEntry] = []
        var position = NFSDirectoryPosition(cookie: 0, verifier: number(result.cookieverf))
        var next = result.reply.entries
        while let entry = next?.pointee {
            next = entry.nextentry
            position.cookie = entry.cookie
            guard let name = entry.name.map(bytes) else { return nil }
            if name == [UInt8(ascii: ".")] || name == [UInt8(ascii: "."), UInt8(ascii: ".")] { continue }
            // A name that means a path could lead anywhere.
            guard !name.isEmpty, !name.contains(UInt8(ascii: "/")) else { return nil }
            let follows = entry.name_handle.handle_follows != 0
            let handle = follows ? bytes(entry.name_handle.post_op_fh3_u.handle) : nil
            entries.append(
                NFSDirectoryEntry(
                    name: name, fileID: entry.fileid,
                    handle: handle.map { NFSHandle(bytes: $0, path: directory.pathOf(name)) },
                    attributes: NFSAttributes(entry.name_attributes)))
        }
        return .entries(entries, position, isEnd: result.reply.eof != 0)
    }
}

extension UnsafeMutableRawPointer {
    fileprivate func result<Value>(_ type: Value.Type) -> Value { load(as: type) }
}

/// The largest handle of NFSv3; longer ones are invalid.
private func bytes(_ handle: nfs_fh3) -> [UInt8]? {
    guard handle.data.data_len > 0, handle.data.data_len <= u_int(NFS3_FHSIZE) else { return nil }
    return Array(UnsafeRawBufferPointer(start: handle.data.data_val, count: Int(handle.data.data_len)))
}

private func bytes(_ text: UnsafeMutablePointer<CChar>) -> [UInt8] {
    UnsafeBufferPointer(start: text, count: strlen(text)).map { UInt8(bitPattern: $0) }
}

/// Eight opaque bytes as a number that is stored as it came.
private func number<Bytes>(_ bytes: Bytes) -> UInt64 {
    withUnsafeBytes(of: bytes) { $0.loadUnaligned(as: UInt64.self) }
}

extension NFSVerifier {
    fileprivate init<Bytes>(_ bytes: Bytes) { self.init(rawValue: number(bytes)) }
}

extension NFSAttributes {
    fileprivate init?(_ attributes: post_op_attr) {
        guard attributes.attributes_follow != 0 else { return nil }
        self.init(attributes.post_op_attr_u.attributes)
    }

    fileprivate init?(_ attributes: fattr3) {
        guard let type = NFSFileType(rawValue: attributes.type.rawValue) else { return nil }
        self.init(
            type: type, mode: UInt16(attributes.mode & 0o7777), links: attributes.nlink, user: attributes.uid,
            group: attributes.gid, size: attributes.size, used: attributes.used, fileSystem: attributes.fsid,
            fileID: attributes.fileid, accessed: Timestamp(attributes.atime),
            modified: Timestamp(attributes.mtime), changed: Timestamp(attributes.ctime),
            deviceMajor: attributes.rdev.specdata1, deviceMinor: attributes.rdev.specdata2)
    }
}

extension Timestamp {
    fileprivate init(_ time: nfstime3) {
        self.init(seconds: Int64(time.seconds), nanoseconds: min(time.nseconds, 999_999_999))
    }
}

extension NFSStatistics {
    fileprivate init(_ result: FSSTAT3resok) {
        self.init(
            totalBytes: result.tbytes, freeBytes: result.fbytes, availableBytes: result.abytes,
            totalFiles: result.tfiles, freeFiles: result.ffiles, availableFiles: result.afiles)
    }
}

extension NFSInformation {
    fileprivate init(_ result: FSINFO3resok) {
        self.init(
            maximumRead: result.rtmax, maximumWrite: result.wtmax, preferredDirectoryRead: result.dtpref,
            maximumFileSize: result.maxfilesize, timeStep: Timestamp(result.time_delta),
            hasHardLinks: result.properties & u_int(FSF3_LINK) != 0,
            hasSymbolicLinks: result.properties & u_int(FSF3_SYMLINK) != 0,
            setsTimes: result.properties & u_int(FSF3_CANSETTIME) != 0)
    }
}
#endif
