import FileTree
import Foundation
import Glibc
import LXCCore

/// A file being made from its beginning to its end, with many WRITEs under way.
final class NFSNewFile: NewStoredFile {
    private let location: NFSLocation
    private let writer: NFSTreeWriter
    private let file: NFSLargeFile
    private let handle: NFSHandle
    private var size: UInt64 = 0

    /// Makes it where nothing is.
    init(_ location: NFSLocation, _ cancellation: Cancellation) throws {
        self.location = location
        let client = location.client
        let mode: UInt16 = 0o644
        let call = NFSCall.create(location.name, in: location.parent, .guarded(NFSNewAttributes(mode: mode)))
        let handle: NFSHandle
        let attributes: NFSAttributes
        switch client.wait(for: call, cancellation: cancellation) {
        case .success(.object(let bytes?, let known)):
            handle = NFSHandle(bytes: bytes, path: location.parent.pathOf(location.name))
            attributes = try known ?? client.attributes(of: handle, cancellation)
        case .success: throw NFSClient.senseless("CREATE")
        case .failure(let failure): throw failure.error("create \"\(location.description)\"")
        }
        writer = NFSTreeWriter(client, cancellation, isLossless: false)
        // Owned by whom the server made it for, which of a squashed client is not who it says.
        let entry = TreeEntry(
            path: try TreePath(location.name), kind: .file(size: 0), mode: mode, user: attributes.user,
            group: attributes.group, modified: .init(seconds: Int64(time(nil)), nanoseconds: 0))
        try writer.budget.acquire(items: 1, bytes: 0, cancellation: cancellation)
        self.handle = handle
        file = NFSLargeFile(entry, handle, attributes, writer)
    }

    func write(_ bytes: SharedBytes) throws {
        try file.write(TreePiece(offset: size, bytes: bytes))
        size += UInt64(bytes.count)
    }

    func finish() throws {
        file.end()
        try writer.budget.waitUntilIdle(cancellation: writer.cancellation)
    }

    func abandon() {
        writer.budget.fail(CancellationError())
        // Nobody could be told of a failure here: the failure that led here is what is reported.
        _ = location.client.wait(for: .remove(location.name, in: location.parent, of: handle), cancellation: nil)
    }
}
