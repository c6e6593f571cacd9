// SPDX-License-Identifier: Apache-2.0

import FileTree
package import NFSClient
package import StoreFiles

/// A file on an NFS server, read with several calls under way: an archive on a server is unpacked without a copy of it on
/// this host.
package struct NFSFile: StoredFile {
    private enum Place: Sendable {
        case url(NFSURL, NFSClientOptions)
        case client(NFSClient, String)
    }

    private let place: Place

    /// Creates a file from its URL; every reading makes a connection of its own.
    package init(_ url: NFSURL, options: NFSClientOptions = NFSClientOptions()) { place = .url(url, options) }

    /// Creates a file from its path below the directory of a client, whose connection it uses.
    package init(_ path: String, in client: NFSClient) { place = .client(client, path) }

    /// The URL without its parameters.
    package var description: String {
        switch place {
        case .url(let url, _): url.place
        case .client(let client, let path): "\(client.url.place)/\(path)"
        }
    }

    package func open() throws -> any OpenStoredFile {
        switch place {
        case .url(let url, let options): try NFSFileReader(url, options)
        case .client(let client, let path): try NFSFileReader(TreePath(path), in: client)
        }
    }
}

extension NFSFileReader: OpenStoredFile {}

extension NFSFileWriter: NewStoredFile {}
