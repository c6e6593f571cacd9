// SPDX-License-Identifier: Apache-2.0

import CLibvirt
import Glibc
import LXCCore

extension LibvirtConnection {
    /// The inode of the network namespace to which libvirt assigns a container's processes, and into which it moves
    /// devices.
    ///
    /// - Throws: `LXCError` `invalidState` when the container does not run, or libvirt does not know its init (yet);
    ///   `unsupported` on a connection to another host.
    public func networkNamespace(of domain: String) async throws -> UInt64 {
        try await withDomain(domain) { domain in
            var list: UnsafeMutablePointer<CInt>?
            let count = virDomainLxcOpenNamespace(domain.raw, &list, 0)
            try domain.check(count, "open the namespaces of")
            guard let list else { throw LXCError(.hypervisor, "libvirt shows no namespace of the \(domain.shown)") }
            defer {
                for index in 0..<Int(count) { Glibc.close(list[index]) }
                free(list)
            }
            for index in 0..<Int(count) {
                if let inode = networkNamespaceInode(list[index]) { return inode }
            }
            throw LXCError(.hypervisor, "libvirt shows no network namespace of the \(domain.shown)")
        }
    }
}

/// The inode of a namespace's descriptor, if it is one of network namespaces: namespaces(7), `net:[4026531840]`.
private func networkNamespaceInode(_ descriptor: CInt) -> UInt64? {
    var target = [CChar](repeating: 0, count: 64)
    let length = readlink("/proc/self/fd/\(descriptor)", &target, target.count - 1)
    guard length > 0,
        String(decoding: target.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self).hasPrefix("net:[")
    else { return nil }
    var status = stat()
    return fstat(descriptor, &status) == 0 ? UInt64(status.st_ino) : nil
}
