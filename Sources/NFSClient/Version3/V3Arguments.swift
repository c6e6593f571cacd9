// SPDX-License-Identifier: Apache-2.0

#if NFS
import CLibNFS
import FileTree
import LXCCore
import LinuxSystem

/// NFSv3 (RFC 1813).
struct V3Wire: NFSWire {
    let version = CInt(NFS_V3)

    func send(
        _ call: NFSCall, over connection: borrowing RPCContext, into room: NFSReadRoom?, callback: rpc_cb?,
        context: UnsafeMutableRawPointer
    ) -> Bool { connection.send(call, into: room, callback: callback, context: context) }

    func reply(
        to call: NFSCall, _ data: UnsafeMutableRawPointer, in room: NFSReadRoom?
    ) -> Result<NFSReply, NFSFailure> { call.reply(data, room) }
}

/// Calls in libnfs's form. Everything but the data read and written is encoded before these return; the contents of a
/// WRITE live as long as the call, which is held until its callback.
extension RPCContext {
    /// Puts a call into libnfs's queue. False when libnfs cannot encode it, and then no callback comes.
    fileprivate func send(
        _ call: NFSCall, into room: NFSReadRoom?, callback: rpc_cb?, context: UnsafeMutableRawPointer
    ) -> Bool {
        switch call {
        case .create(let name, let directory, let how):
            withPlace(name, directory) {
                var arguments = CREATE3args(where: $0, how: createhow3(how))
                return clibnfs_nfs3_create(raw, callback, &arguments, context)
            }
        case .makeDirectory(let name, let directory, let attributes):
            withPlace(name, directory) {
                var arguments = MKDIR3args(where: $0, attributes: sattr3(attributes))
                return clibnfs_nfs3_mkdir(raw, callback, &arguments, context)
            }
        case .makeSymbolicLink(let name, let directory, let target, let attributes):
            withPlace(name, directory) { place in
                withText(target) {
                    let link = symlinkdata3(symlink_attributes: sattr3(attributes), symlink_data: $0)
                    var arguments = SYMLINK3args(where: place, symlink: link)
                    return clibnfs_nfs3_symlink(raw, callback, &arguments, context)
                }
            }
        case .makeNode(let name, let directory, let node, let attributes):
            withPlace(name, directory) {
                var arguments = MKNOD3args(where: $0, what: mknoddata3(node, attributes))
                return clibnfs_nfs3_mknod(raw, callback, &arguments, context)
            }
        case .remove(let name, let directory, _):
            withPlace(name, directory) {
                var arguments = REMOVE3args(object: $0)
                return clibnfs_nfs3_remove(raw, callback, &arguments, context)
            }
        case .removeDirectory(let name, let directory, _):
            withPlace(name, directory) {
                var arguments = RMDIR3args(object: $0)
                return clibnfs_nfs3_rmdir(raw, callback, &arguments, context)
            }
        case .rename(let name, let directory, let newName, let newDirectory, _):
            withPlace(name, directory) { old in
                withPlace(newName, newDirectory) {
                    var arguments = RENAME3args(from: old, to: $0)
                    return clibnfs_nfs3_rename(raw, callback, &arguments, context)
                }
            }
        case .lookUp(let name, let directory):
            withPlace(name, directory) {
                var arguments = LOOKUP3args(what: $0)
                return clibnfs_nfs3_lookup(raw, callback, &arguments, context)
            }
        default: sendByHandle(call, room, callback, context)
        }
    }

    private func sendByHandle(
        _ call: NFSCall, _ room: NFSReadRoom?, _ callback: rpc_cb?, _ context: UnsafeMutableRawPointer
    ) -> Bool {
        switch call {
        case .getAttributes(let handle):
            withHandle(handle) {
                var arguments = GETATTR3args(object: $0)
                return clibnfs_nfs3_getattr(raw, callback, &arguments, context)
            }
        case .setAttributes(let handle, let attributes, let known):
            withHandle(handle) {
                var arguments = SETATTR3args(
                    object: $0, new_attributes: sattr3(attributes), guard: sattrguard3(known))
                return clibnfs_nfs3_setattr(raw, callback, &arguments, context)
            }
        case .readLink(let handle):
            withHandle(handle) {
                var arguments = READLINK3args(symlink: $0)
                return clibnfs_nfs3_readlink(raw, callback, &arguments, context)
            }
        case .read(let handle, let offset, let count):
            withHandle(handle) {
                var arguments = READ3args(file: $0, offset: offset, count: count3(count))
                return clibnfs_nfs3_read(raw, callback, room?.bytes.baseAddress, &arguments, context)
            }
        case .write(let handle, let offset, let bytes, let stability):
            write(handle, offset, bytes, stability, callback, context)
        case .link(let handle, let name, let directory):
            withHandle(handle) { file in
                withPlace(name, directory) {
                    var arguments = LINK3args(file: file, link: $0)
                    return clibnfs_nfs3_link(raw, callback, &arguments, context)
                }
            }
        case .list(let handle, let position, let size): list(handle, position, size, callback, context)
        case .statistics(let handle):
            withHandle(handle) {
                var arguments = FSSTAT3args(fsroot: $0)
                return clibnfs_nfs3_fsstat(raw, callback, &arguments, context)
            }
        case .information(let handle):
            withHandle(handle) {
                var arguments = FSINFO3args(fsroot: $0)
                return clibnfs_nfs3_fsinfo(raw, callback, &arguments, context)
            }
        case .commit(let handle):
            withHandle(handle) {
                var arguments = COMMIT3args(file: $0, offset: 0, count: 0)
                return clibnfs_nfs3_commit(raw, callback, &arguments, context)
            }
        default: false
        }
    }

    private func write(
        _ handle: NFSHandle, _ offset: UInt64, _ bytes: SharedBytes, _ stability: NFSStability, _ callback: rpc_cb?,
        _ context: UnsafeMutableRawPointer
    ) -> Bool {
        withHandle(handle) { file in
            bytes.withUnsafeBytes { buffer in
                var arguments = WRITE3args()
                arguments.file = file
                arguments.offset = offset
                arguments.count = count3(buffer.count)
                arguments.stable = stable_how(rawValue: stability.rawValue)
                arguments.data.data_len = u_int(buffer.count)
                arguments.data.data_val = UnsafeMutablePointer(mutating: buffer.bindMemory(to: CChar.self).baseAddress)
                return clibnfs_nfs3_write(raw, callback, &arguments, context)
            }
        }
    }

    private func list(
        _ handle: NFSHandle, _ position: NFSDirectoryPosition, _ size: Int, _ callback: rpc_cb?,
        _ context: UnsafeMutableRawPointer
    ) -> Bool {
        withHandle(handle) {
            var arguments = READDIRPLUS3args()
            arguments.dir = $0
            arguments.cookie = position.cookie
            withUnsafeMutableBytes(of: &arguments.cookieverf) {
                $0.storeBytes(of: position.verifier, as: UInt64.self)
            }
            // The names alone take less than half of what names, attributes and handles do.
            arguments.dircount = count3(size / 2)
            arguments.maxcount = count3(size)
            return clibnfs_nfs3_readdirplus(raw, callback, &arguments, context)
        }
    }
}

// MARK: - Parts of arguments

/// libnfs takes mutable pointers to memory it only reads.
private func withHandle<Result>(_ handle: NFSHandle, _ body: (nfs_fh3) -> Result) -> Result {
    handle.bytes.withUnsafeBytes { bytes in
        var result = nfs_fh3()
        result.data.data_len = u_int(bytes.count)
        result.data.data_val = UnsafeMutablePointer(mutating: bytes.bindMemory(to: CChar.self).baseAddress)
        return body(result)
    }
}

private func withText<Result>(_ text: [UInt8], _ body: (UnsafeMutablePointer<CChar>) -> Result) -> Result {
    withCString(text) { body(UnsafeMutablePointer(mutating: $0)) }
}

private func withPlace<Result>(_ name: [UInt8], _ directory: NFSHandle, _ body: (diropargs3) -> Result) -> Result {
    withHandle(directory) { handle in withText(name) { body(diropargs3(dir: handle, name: $0)) } }
}

extension sattr3 {
    fileprivate init(_ attributes: NFSNewAttributes) {
        self.init()
        if let value = attributes.mode {
            mode.set_it = 1
            mode.set_mode3_u.mode = mode3(value)
        }
        if let value = attributes.user {
            uid.set_it = 1
            uid.set_uid3_u.uid = value
        }
        if let value = attributes.group {
            gid.set_it = 1
            gid.set_gid3_u.gid = value
        }
        if let value = attributes.size {
            size.set_it = 1
            size.set_size3_u.size = value
        }
        switch attributes.accessed {
        case nil: atime.set_it = DONT_CHANGE
        case .now?: atime.set_it = SET_TO_SERVER_TIME
        case .at(let time)?:
            atime.set_it = SET_TO_CLIENT_TIME
            atime.set_atime_u.atime = nfstime3(time)
        }
        switch attributes.modified {
        case nil: mtime.set_it = DONT_CHANGE
        case .now?: mtime.set_it = SET_TO_SERVER_TIME
        case .at(let time)?:
            mtime.set_it = SET_TO_CLIENT_TIME
            mtime.set_mtime_u.mtime = nfstime3(time)
        }
    }
}

extension nfstime3 {
    fileprivate init(_ time: Timestamp) {
        self.init(seconds: u_int(clamping: time.seconds), nseconds: time.nanoseconds)
    }
}

extension createhow3 {
    fileprivate init(_ creation: NFSCreation) {
        self.init()
        switch creation {
        case .unchecked(let attributes):
            mode = UNCHECKED
            createhow3_u.obj_attributes = sattr3(attributes)
        case .guarded(let attributes):
            mode = GUARDED
            createhow3_u.g_obj_attributes = sattr3(attributes)
        case .exclusive(let verifier):
            mode = EXCLUSIVE
            withUnsafeMutableBytes(of: &createhow3_u.verf) { $0.storeBytes(of: verifier, as: UInt64.self) }
        }
    }
}

extension mknoddata3 {
    fileprivate init(_ node: NFSNode, _ attributes: NFSNewAttributes) {
        self.init()
        type = ftype3(rawValue: node.type.rawValue)
        switch node {
        case .characterDevice(let major, let minor):
            mknoddata3_u.chr_device = devicedata3(
                dev_attributes: sattr3(attributes), spec: specdata3(specdata1: major, specdata2: minor))
        case .blockDevice(let major, let minor):
            mknoddata3_u.blk_device = devicedata3(
                dev_attributes: sattr3(attributes), spec: specdata3(specdata1: major, specdata2: minor))
        case .fifo: mknoddata3_u.pipe_attributes = sattr3(attributes)
        }
    }
}

extension sattrguard3 {
    /// The condition that an object's attributes last changed at `time`; no condition if nil.
    fileprivate init(_ time: Timestamp?) {
        self.init()
        guard let time else { return }
        check = 1
        sattrguard3_u.obj_ctime = nfstime3(
            seconds: UInt32(truncatingIfNeeded: time.seconds), nseconds: time.nanoseconds)
    }
}
#endif
