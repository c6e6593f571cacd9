// SPDX-License-Identifier: Apache-2.0

import Glibc
public import LXCCore
public import LinuxSystem

extension LXCHypervisor {
    /// The files of a container, running or not, addressed by the container's own paths.
    ///
    /// The kernel resolves each path below the container's root, whatever the container changes in the meantime: links
    /// and `..` cannot escape it (the class of CVE-2018-15664). Owners are ids in the container's user namespace.
    public struct ContainerFiles: Sendable {
        /// A user and a group, as ids in the container's user namespace.
        public struct Owner: Hashable, Sendable {
            /// The user's id.
            public var user: UInt32
            /// The group's id.
            public var group: UInt32

            /// Creates an owner; root by default.
            public init(user: UInt32 = 0, group: UInt32 = 0) {
                self.user = user
                self.group = group
            }
        }

        let container: Container

        /// The status of a path without following its last component; `nil` if nothing exists there.
        ///
        /// - Throws: `LXCError` `inUse` if the container is not running and another host has its volume.
        public func status(of path: String) async throws -> ConfinedRoot.Status? {
            try await work { root, map in
                guard var status = try root.status(path) else { return nil }
                // An owner without an id in the container appears as nobody inside it.
                let overflow: UInt32 = 65_534
                if let map {
                    status.user = map.containerUser(status.user) ?? overflow
                    status.group = map.containerGroup(status.group) ?? overflow
                }
                return status
            }
        }

        /// The names in a directory, sorted.
        ///
        /// - Throws: `LXCError` `notFound`, `inUse`.
        public func list(_ path: String) async throws -> [String] { try await work { root, _ in try root.list(path) } }

        /// Reads a regular file.
        ///
        /// - Parameters:
        ///   - path: the path of the file.
        ///   - limit: the maximum size to read.
        /// - Returns: the contents of the file.
        /// - Throws: `LXCError` `notFound`, `limitExceeded`, `invalidArgument` if it is not a regular file, `inUse`.
        public func read(_ path: String, limit: ByteCount = .mebibytes(16)) async throws -> [UInt8] {
            try await work { root, _ in
                guard let bytes = try root.read(path, limit: Int(clamping: limit.bytes)) else {
                    throw LXCError(.notFound, "\(container.name) has no file \(path.escapedForDisplay)")
                }
                return bytes
            }
        }

        /// Writes a file atomically: concurrent readers see either the old file or the new one. A link at the path is
        /// replaced.
        ///
        /// - Throws: `LXCError` `notFound` if the directory is missing, `invalidArgument` for an owner outside the id
        ///   map, `inUse`.
        public func write(
            _ bytes: [UInt8], to path: String, mode: UInt16 = 0o644, owner: Owner = Owner()
        ) async throws {
            try await work { root, map in
                try root.write(bytes, to: path, mode: mode, owner: Self.hostOwner(owner, map))
            }
        }

        /// Creates a directory; an existing one is left unchanged.
        ///
        /// - Throws: the errors of ``write(_:to:mode:owner:)``.
        public func makeDirectory(_ path: String, mode: UInt16 = 0o755, owner: Owner = Owner()) async throws {
            try await work { root, map in
                try root.makeDirectory(path, mode: mode, owner: Self.hostOwner(owner, map))
            }
        }

        /// Removes a file or a link; succeeds if it is gone.
        ///
        /// - Throws: `LXCError` `io` for a directory, `inUse`.
        public func remove(_ path: String) async throws { try await work { root, _ in try root.remove(path) } }

        /// Copies a file from the host into the container.
        ///
        /// - Parameters:
        ///   - source: a regular file on the host.
        ///   - path: the destination path inside the container.
        ///   - mode: the permissions of the copy; `nil` uses those of the source.
        ///   - owner: the owner of the copy inside the container.
        /// - Throws: the errors of ``write(_:to:mode:owner:)``; `CancellationError`. The old file is kept in these
        ///   cases.
        public func push(
            _ source: String, to path: String, mode: UInt16? = nil, owner: Owner = Owner()
        ) async throws {
            try await workCancellably { root, map, cancellation in
                let file = try HostFile(reading: source)
                try root.replace(path, mode: mode ?? file.mode, owner: Self.hostOwner(owner, map)) { destination in
                    try file.copy(to: destination, cancellation)
                }
            }
        }

        /// Copies a file from the container to the host, under a name that must not exist yet.
        ///
        /// - Parameters:
        ///   - path: a regular file inside the container; a link is followed within the container.
        ///   - destination: the destination path on the host; the file is accessible only to its owner.
        /// - Throws: `LXCError` `notFound`, `alreadyExists`, `invalidArgument` if it is not a regular file, `inUse`;
        ///   `CancellationError`. Nothing is left at the destination in these cases.
        public func pull(_ path: String, to destination: String) async throws {
            try await workCancellably { root, _, cancellation in
                let file = HostFile(try root.openFile(path), shown: path)
                try HostFile.create(destination) { try file.copy(to: $0, cancellation) }
            }
        }

        // MARK: The root

        private func work<Value: Sendable>(
            _ body: @escaping @Sendable (ConfinedRoot, IDMap?) throws -> Value
        ) async throws -> Value {
            try await workCancellably { root, map, _ in try body(root, map) }
        }

        private func workCancellably<Value: Sendable>(
            _ body: @escaping @Sendable (ConfinedRoot, IDMap?, Cancellation) throws -> Value
        ) async throws -> Value {
            try await container.keeper.operation("container.files", on: container.name) {
                try await container.keeper.withRoot(of: container.name) { root, map in
                    try await BlockingPool.shared.run { try body(root, map, $0) }
                }
            }
        }

        private static func hostOwner(_ owner: Owner, _ map: IDMap?) throws -> (user: UInt32, group: UInt32) {
            guard let map else { return (owner.user, owner.group) }
            guard let user = map.hostUser(owner.user), let group = map.hostGroup(owner.group) else {
                throw LXCError(
                    .invalidArgument, "the owner \(owner.user):\(owner.group) is outside of the container's id map")
            }
            return (user, group)
        }
    }
}

extension LXCHypervisor.Container {
    /// The files of the container.
    public var files: LXCHypervisor.ContainerFiles { LXCHypervisor.ContainerFiles(container: self) }
}

extension GuestKeeper {
    /// Calls `body` with a container's root directory and its id map. If the container is not running, the root
    /// directory is that of its root volume, which this host holds exclusively for the duration.
    func withRoot<Value: Sendable>(
        of name: GuestName, _ body: (ConfinedRoot, IDMap?) async throws -> Value
    ) async throws -> Value {
        let domain = try await driver.definition(of: name)
        if try await driver.guest(name).state.isActive {
            return try await body(try await driver.files.root(of: name), domain.idMap)
        }
        guard let record = try record(of: domain) else {
            throw LXCError(.invalidState, "\(kind) \(name) is not running, and its root is in no pool of this host")
        }
        return try await withVolume(record.volume, of: name) { try await body($0, domain.idMap) }
    }

    /// Calls `body` with the root directory of a volume its guest is not running from.
    func withVolume<Value: Sendable>(
        _ volume: GuestVolume, of name: GuestName, _ body: (ConfinedRoot) async throws -> Value
    ) async throws -> Value {
        try await takeLease(on: volume, of: name)
        let result: Result<Value, any Error>
        do { result = .success(try await body(volume.store.root(of: volume.id))) } catch { result = .failure(error) }
        // libvirt or another program may have started the container in the meantime; this host then keeps the lease.
        await giveBackUnlessRunning(volume, of: name)
        return try result.get()
    }
}
