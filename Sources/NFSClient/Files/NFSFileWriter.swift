// SPDX-License-Identifier: Apache-2.0

package import FileTree
import Glibc
package import LXCCore

/// A file being made from its beginning to its end, with many WRITEs under way.
package final class NFSFileWriter {
    private let location: NFSLocation
    private let writer: NFSTreeWriter
    private let file: NFSLargeFile
    private let handle: NFSHandle
    private var size: UInt64 = 0

    /// Makes a file below the directory of a client where nothing is, on a thread that may block.
    package init(_ path: TreePath, in client: NFSClient, _ cancellation: Cancellation) throws {
        let location = try client.location(of: path, cancellation)
        self.location = location
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
        // Owned by the user the server made it for, which for a squashed client differs from its own.
        let entry = TreeEntry(
            path: try TreePath(location.name), kind: .file(size: 0), mode: mode, user: attributes.user,
            group: attributes.group, modified: .init(seconds: Int64(time(nil)), nanoseconds: 0))
        try writer.budget.acquire(items: 1, bytes: 0, cancellation: cancellation)
        self.handle = handle
        file = NFSLargeFile(entry, handle, attributes, writer)
    }

    /// Adds bytes at the end.
    package func write(_ bytes: SharedBytes) throws {
        try file.write(TreePiece(offset: size, bytes: bytes))
        size += UInt64(bytes.count)
    }

    /// Waits until the server has all of it on disk.
    package func finish() throws {
        file.end()
        try writer.budget.waitUntilIdle(cancellation: writer.cancellation)
    }

    /// Removes the file.
    package func abandon() {
        writer.budget.fail(CancellationError())
        // A failure here is not reported: the failure that led here is.
        _ = location.client.wait(for: .remove(location.name, in: location.parent, of: handle), cancellation: nil)
    }
}
