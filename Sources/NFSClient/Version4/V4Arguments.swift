// SPDX-License-Identifier: Apache-2.0

#if NFS
import CLibNFS
import FileTree

/// NFSv4.0 (RFC 7530) by libnfs's raw COMPOUND: one for each call. libnfs 4.0.0's calls by path are of no use here: they
/// follow symbolic links, and set neither owners, modes nor times of directories and links.
///
/// Files are read and written without being open ("anonymous" state), as in version 3.
struct V4Wire: NFSWire {
    let version = CInt(NFS_V4)
    /// The most bytes one WRITE brings: libnfs encodes a COMPOUND into 4 KiB.
    static let largestWrite: UInt32 = 3_584

    func send(
        _ call: NFSCall, over connection: borrowing RPCContext, into room: NFSReadRoom?, callback: rpc_cb?,
        context: UnsafeMutableRawPointer
    ) -> Bool {
        var compound = V4Compound()
        compound.add(call)
        return compound.send(call, over: connection, into: room, callback: callback, context: context)
    }

    func reply(
        to call: NFSCall, _ data: UnsafeMutableRawPointer, in room: NFSReadRoom?
    ) -> Result<NFSReply, NFSFailure> { call.v4Reply(data, room) }
}

extension V4Compound {
    /// Adds the operations of a call.
    fileprivate mutating func add(_ call: NFSCall) {
        switch call {
        case .root:
            add(OP_PUTROOTFH)
            describe()
        case .getAttributes(let handle):
            use(handle)
            ask(V4Attribute.all)
        case .setAttributes(let handle, let new, _):
            use(handle)
            let attributes = attributes(new)
            add(OP_SETATTR) { $0.nfs_argop4_u.opsetattr.obj_attributes = attributes }
            ask(V4Attribute.all)
        case .lookUp(let name, let directory):
            use(directory)
            let name = text(name)
            add(OP_LOOKUP) { $0.nfs_argop4_u.oplookup.objname = name }
            describe()
        case .readLink(let handle):
            use(handle)
            add(OP_READLINK)
        case .read(let handle, let offset, let count):
            use(handle)
            add(OP_READ) {
                $0.nfs_argop4_u.opread.offset = offset
                $0.nfs_argop4_u.opread.count = count4(count)
            }
        case .write(let handle, let offset, let bytes, let stability):
            use(handle)
            write(bytes, at: offset, stability)
            // Data that libnfs sends from borrowed memory comes last.
            if !clibnfs_borrows_memory() { ask(V4Attribute.all) }
        case .commit(let handle):
            use(handle)
            add(OP_COMMIT)
        case .list(let handle, let position, let size):
            use(handle)
            list(position, size)
        case .statistics(let handle):
            use(handle)
            ask(V4Attribute.statistics)
        case .information(let handle):
            use(handle)
            ask(V4Attribute.information)
        case .state(let call): add(call)
        default: addNaming(call)
        }
    }

    private mutating func write(_ bytes: SharedBytes, at offset: UInt64, _ stability: NFSStability) {
        let data = clibnfs_borrows_memory() ? utf8string() : bytes.withUnsafeBytes { text($0) }
        add(OP_WRITE) {
            $0.nfs_argop4_u.opwrite.offset = offset
            $0.nfs_argop4_u.opwrite.stable = stable_how4(rawValue: stability.rawValue)
            $0.nfs_argop4_u.opwrite.data.data_len = data.utf8string_len
            $0.nfs_argop4_u.opwrite.data.data_val = data.utf8string_val
        }
    }

    private mutating func list(_ position: NFSDirectoryPosition, _ size: Int) {
        let mask = bitmap(V4Attribute.mask(V4Attribute.listed))
        add(OP_READDIR) {
            $0.nfs_argop4_u.opreaddir.cookie = position.cookie
            withUnsafeMutableBytes(of: &$0.nfs_argop4_u.opreaddir.cookieverf) {
                $0.storeBytes(of: position.verifier, as: UInt64.self)
            }
            // The names alone take less than half of what names, attributes and handles do.
            $0.nfs_argop4_u.opreaddir.dircount = count4(size / 2)
            $0.nfs_argop4_u.opreaddir.maxcount = count4(size)
            $0.nfs_argop4_u.opreaddir.attr_request = mask
        }
    }

    // MARK: Names

    private mutating func addNaming(_ call: NFSCall) {
        switch call {
        case .makeDirectory(let name, let directory, let new):
            make(name, in: directory, new) { $0.type = NF4DIR }
        case .makeSymbolicLink(let name, let directory, let target, let new):
            let target = text(target)
            make(name, in: directory, new) {
                $0.type = NF4LNK
                $0.createtype4_u.linkdata = target
            }
        case .makeNode(let name, let directory, let node, let new):
            make(name, in: directory, new) {
                $0.type = nfs_ftype4(rawValue: node.type.rawValue)
                switch node {
                case .characterDevice(let major, let minor), .blockDevice(let major, let minor):
                    $0.createtype4_u.devdata = specdata4(specdata1: major, specdata2: minor)
                case .fifo: break
                }
            }
        case .remove(let name, let directory, _), .removeDirectory(let name, let directory, _):
            use(directory)
            let name = text(name)
            add(OP_REMOVE) { $0.nfs_argop4_u.opremove.target = name }
        case .rename(let name, let directory, let newName, let newDirectory, _):
            use(directory)
            add(OP_SAVEFH)
            use(newDirectory)
            let (old, new) = (text(name), text(newName))
            add(OP_RENAME) {
                $0.nfs_argop4_u.oprename.oldname = old
                $0.nfs_argop4_u.oprename.newname = new
            }
        case .link(let handle, let name, let directory):
            use(handle)
            add(OP_SAVEFH)
            use(directory)
            let name = text(name)
            add(OP_LINK) { $0.nfs_argop4_u.oplink.newname = name }
            add(OP_RESTOREFH)
            ask(V4Attribute.all)
        default: add(OP_ILLEGAL)
        }
    }

    private mutating func make(
        _ name: [UInt8], in directory: NFSHandle, _ new: NFSNewAttributes, _ set: (inout createtype4) -> Void
    ) {
        use(directory)
        let (name, attributes) = (text(name), attributes(new))
        add(OP_CREATE) {
            set(&$0.nfs_argop4_u.opcreate.objtype)
            $0.nfs_argop4_u.opcreate.objname = name
            $0.nfs_argop4_u.opcreate.createattrs = attributes
        }
        describe()
    }

    // MARK: State

    private mutating func add(_ call: V4StateCall) {
        switch call {
        case .introduce(let name, let start):
            let name = text(name)
            // No callbacks: a server then delegates nothing.
            let (kind, address) = (string("tcp"), string("0.0.0.0.0.0"))
            add(OP_SETCLIENTID) {
                withUnsafeMutableBytes(of: &$0.nfs_argop4_u.opsetclientid.client.verifier) {
                    $0.storeBytes(of: start, as: UInt64.self)
                }
                $0.nfs_argop4_u.opsetclientid.client.id.id_len = name.utf8string_len
                $0.nfs_argop4_u.opsetclientid.client.id.id_val = name.utf8string_val
                $0.nfs_argop4_u.opsetclientid.callback.cb_location = clientaddr4(r_netid: kind, r_addr: address)
            }
        case .confirmClient(let client, let confirmation):
            add(OP_SETCLIENTID_CONFIRM) {
                $0.nfs_argop4_u.opsetclientid_confirm.clientid = client
                withUnsafeMutableBytes(of: &$0.nfs_argop4_u.opsetclientid_confirm.setclientid_confirm) {
                    $0.storeBytes(of: confirmation, as: UInt64.self)
                }
            }
        case .open(let name, let directory, let creation, let client, let owner):
            open(name, in: directory, creation, client, owner)
        case .confirmOwner(let handle, let state, let sequence):
            use(handle)
            add(OP_OPEN_CONFIRM) {
                $0.nfs_argop4_u.opopen_confirm.open_stateid = stateid4(state)
                $0.nfs_argop4_u.opopen_confirm.seqid = sequence
            }
        case .close(let handle, let state, let sequence):
            use(handle)
            add(OP_CLOSE) {
                $0.nfs_argop4_u.opclose.open_stateid = stateid4(state)
                $0.nfs_argop4_u.opclose.seqid = sequence
            }
        }
    }

    private mutating func open(
        _ name: [UInt8], in directory: NFSHandle, _ creation: NFSCreation, _ client: UInt64, _ owner: V4Owner
    ) {
        use(directory)
        let (name, number) = (text(name), text(withUnsafeBytes(of: owner.number) { Array($0) }))
        let how = how(creation)
        add(OP_OPEN) {
            $0.nfs_argop4_u.opopen.seqid = owner.sequence
            $0.nfs_argop4_u.opopen.share_access = UInt32(OPEN4_SHARE_ACCESS_WRITE)
            $0.nfs_argop4_u.opopen.owner.clientid = client
            $0.nfs_argop4_u.opopen.owner.owner.owner_len = number.utf8string_len
            $0.nfs_argop4_u.opopen.owner.owner.owner_val = number.utf8string_val
            $0.nfs_argop4_u.opopen.openhow.opentype = OPEN4_CREATE
            $0.nfs_argop4_u.opopen.openhow.openflag4_u.how = how
            $0.nfs_argop4_u.opopen.claim.claim = CLAIM_NULL
            $0.nfs_argop4_u.opopen.claim.open_claim4_u.file = name
        }
        describe()
    }

    private mutating func how(_ creation: NFSCreation) -> createhow4 {
        var how = createhow4()
        switch creation {
        case .unchecked(let new):
            how.mode = UNCHECKED4
            how.createhow4_u.createattrs = attributes(new)
        case .guarded(let new):
            how.mode = GUARDED4
            how.createhow4_u.createattrs = attributes(new)
        case .exclusive(let verifier):
            how.mode = EXCLUSIVE4
            withUnsafeMutableBytes(of: &how.createhow4_u.createverf) { $0.storeBytes(of: verifier, as: UInt64.self) }
        }
        return how
    }
}
#endif
