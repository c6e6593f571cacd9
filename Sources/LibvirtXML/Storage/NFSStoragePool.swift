// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
import LXCCore

/// A directory of an NFS server that libvirt mounts on the host: a storage pool of type `netfs`, as CloudStack makes it
/// for primary storage.
public struct NFSStoragePool: Hashable, Sendable {
    /// The pool's UUID; CloudStack's pools are named by it too.
    public var uuid: UUID
    /// The server's name or address.
    public var server: String
    /// The directory on the server.
    public var export: String
    /// The directory of the host it is mounted on; libvirt makes it.
    public var target: String
    /// The NFS version, such as `3` or `4.2`; nil leaves it to mount(8).
    public var version: String?
    /// Further options of mount(8) and nfs(5). They come after libvirt's own `nodev,nosuid,noexec`, and the last of two
    /// that contradict each other holds.
    public var mountOptions: [String]

    /// A pool mounted at `/mnt/<uuid>` unless `target` names another place. Containers run from it, setuid programs
    /// too, unless `mountOptions` forbid it.
    public init(
        uuid: UUID, server: String, export: String, target: String? = nil, version: String? = nil,
        mountOptions: [String] = ["exec", "suid"]
    ) {
        self.uuid = uuid
        self.server = server
        self.export = export
        self.target = target ?? "/mnt/\(uuid.uuidString.lowercased())"
        self.version = version
        self.mountOptions = mountOptions
    }

    /// The namespace of libvirt's own for options of a pool's mount.
    private static let optionsNamespace = "http://libvirt.org/schemas/storagepool/fs/1.0"

    private static func optionsName(_ local: String) -> XMLName {
        XMLName(local, namespace: optionsNamespace, prefix: "fs")
    }

    /// The `<pool>` document.
    ///
    /// - Throws: `LXCError` `invalidArgument` naming the field that cannot be written.
    public func xml() throws -> String {
        try FieldFault.reported {
            var pool = XMLFragment("pool")
            try pool.set("type", "netfs")
            try pool.writeText("name", uuid.uuidString.lowercased(), .objectName)
            try pool.writeText("uuid", uuid.uuidString.lowercased())
            try pool.write("source") { source in
                try source.write("host") { try $0.set("name", server, .line) }
                try source.write("dir") { try $0.set("path", export, .absolutePath) }
                try source.write("format") { try $0.set("type", "nfs") }
                try source.write("protocol") { try $0.set("ver", version, .word) }
            }
            try pool.write("target") { try $0.writeText("path", target, .absoluteFilePath) }
            pool.declarations = [XMLFragment.Declaration(prefix: "fs", namespace: Self.optionsNamespace)]
            try pool.write(Self.optionsName("mount_opts")) { list in
                try list.writeEach(Self.optionsName("option"), mountOptions) { option in
                    var element = XMLFragment(Self.optionsName("option"))
                    try element.set("name", option, .mountOption)
                    return element
                }
            }
            return try pool.printed()
        }
    }
}
