// SPDX-License-Identifier: Apache-2.0

#if NFS
import CLibNFS
import FileTree

/// The operations of one COMPOUND, and the memory their arguments are in until they are encoded.
struct V4Compound: ~Copyable {
    private var operations: [nfs_argop4] = []
    private var memory: [UnsafeMutableRawPointer] = []

    deinit { for part in memory { part.deallocate() } }

    /// Encodes all of it into libnfs's queue, as the operations of `call`.
    mutating func send(
        _ call: NFSCall, over connection: borrowing RPCContext, into room: NFSReadRoom?, callback: rpc_cb?,
        context: UnsafeMutableRawPointer
    ) -> Bool {
        operations.withUnsafeMutableBufferPointer { operations in
            var arguments = COMPOUND4args()
            arguments.argarray.argarray_len = u_int(operations.count)
            arguments.argarray.argarray_val = operations.baseAddress
            return switch call {
            case .read(_, _, let count):
                clibnfs_nfs4_read(
                    connection.raw, callback, room?.bytes.baseAddress, count, &arguments, context)
            case .write(_, _, let bytes, _):
                bytes.withUnsafeBytes {
                    clibnfs_nfs4_write(connection.raw, callback, $0.baseAddress, $0.count, &arguments, context)
                }
            default: clibnfs_nfs4_compound(connection.raw, callback, &arguments, context)
            }
        }
    }

    /// Adds an operation whose arguments `set` fills in.
    mutating func add(_ operation: nfs_opnum4, _ set: (inout nfs_argop4) -> Void = { _ in }) {
        var argument = nfs_argop4()
        argument.argop = operation
        set(&argument)
        operations.append(argument)
    }

    // MARK: Operations that many calls have

    /// Makes an object the current one.
    mutating func use(_ handle: NFSHandle) {
        let bytes = text(handle.bytes)
        add(OP_PUTFH) {
            $0.nfs_argop4_u.opputfh.object = nfs_fh4(
                nfs_fh4_len: bytes.utf8string_len, nfs_fh4_val: bytes.utf8string_val)
        }
    }

    /// Asks for the current object's handle and attributes.
    mutating func describe() {
        add(OP_GETFH)
        ask(V4Attribute.all)
    }

    /// Asks for some of the current object's attributes.
    mutating func ask(_ attributes: [V4Attribute]) {
        let mask = bitmap(V4Attribute.mask(attributes))
        add(OP_GETATTR) { $0.nfs_argop4_u.opgetattr.attr_request = mask }
    }

    // MARK: Parts of arguments

    /// A copy that lives as long as this.
    mutating func text(_ bytes: some Collection<UInt8>) -> utf8string {
        utf8string(utf8string_len: u_int(bytes.count), utf8string_val: copy(Array(bytes), as: CChar.self))
    }

    mutating func bitmap(_ words: [UInt32]) -> bitmap4 {
        bitmap4(bitmap4_len: u_int(words.count), bitmap4_val: copy(words, as: UInt32.self))
    }

    mutating func attributes(_ attributes: NFSNewAttributes) -> fattr4 {
        let (mask, values) = attributes.v4
        let bytes = text(values)
        var result = fattr4()
        result.attrmask = bitmap(mask)
        result.attr_vals = attrlist4(attrlist4_len: bytes.utf8string_len, attrlist4_val: bytes.utf8string_val)
        return result
    }

    /// A text of C.
    mutating func string(_ text: StaticString) -> UnsafeMutablePointer<CChar> {
        let bytes = text.withUTF8Buffer { Array($0) }
        return copy(bytes + [0], as: CChar.self)
    }

    private mutating func copy<Element, Value>(_ values: [Element], as type: Value.Type) -> UnsafeMutablePointer<Value>
    {
        let part = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(values.count, 1) * MemoryLayout<Element>.stride, alignment: 8)
        values.withUnsafeBytes { part.copyMemory(from: $0) }
        let start = part.baseAddress.unsafelyUnwrapped
        memory.append(start)
        return start.bindMemory(to: type, capacity: max(values.count, 1))
    }
}

extension stateid4 {
    /// A file as the server calls it where it is open.
    init(_ state: V4StateID) {
        self.init()
        seqid = state.sequence
        withUnsafeMutableBytes(of: &other) { $0.copyBytes(from: state.other.prefix(12)) }
    }

    /// The same in this package's form.
    var state: V4StateID { V4StateID(sequence: seqid, other: withUnsafeBytes(of: other) { Array($0) }) }
}
#endif
