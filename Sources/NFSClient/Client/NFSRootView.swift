// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

/// A directory on a server as the check of a container's root sees it.
struct NFSRootView: RootView {
    let root: NFSHandle
    private let client: NFSClient
    private let cancellation: Cancellation

    init(_ client: NFSClient, _ root: NFSHandle, _ cancellation: Cancellation) {
        self.client = client
        self.root = root
        self.cancellation = cancellation
    }

    func find(_ name: [UInt8], in directory: NFSHandle) -> RootFinding<NFSHandle> {
        guard let found = try? client.lookUp(name, in: directory, cancellation) else { return .nothing }
        switch found.attributes?.type {
        case .directory: return .directory(found.handle)
        case .symbolicLink:
            guard case .success(.target(let target)) = client.wait(for: .readLink(found.handle), cancellation: nil)
            else {
                return .other
            }
            return .link(target: target)
        default: return .other
        }
    }
}
