// SPDX-License-Identifier: Apache-2.0

import Glibc
public import LXCCore
public import LinuxSystem

extension LXCHypervisor {
    /// The files of a container, running or not, by the paths it uses itself.
    ///
    /// A path is resolved by the kernel below the container's root, whatever the container changes meanwhile: links and
    /// `..` lead nowhere else (the class of CVE-2018-15664). Owners are ids as the container counts them.
    public struct ContainerFiles: Sendable {
        /// User and group, as the container counts them.
        public struct Owner: Hashable, Sendable {
            /// The user's id.
            public var user: UInt32
            /// The group's id.
            public var group: UInt32

            /// Creates an owner; by default root's.
            public init(user: UInt32 = 0, group: UInt32 = 0) {
                self.user = user
                self.group = group
            }
        }

        let container: Container

        /// What a path leads to, its last component not followed; nil when there is nothing.
        ///
        /// - Throws: `LXCError` `inUse` when another host has the volume of a container that is not running.
        public func status(of path: String) async throws -> ConfinedRoot.Status? {
            try await work { root, map in
                guard var status = try root.status(path) else { return nil }
                // An owner the container has no number for is nobody's, as it sees it.
                let overflow: UInt32 = 65_534
                if let map {
                    status.user = map.containerUser(status.user) ?? overflow
                    status.group = map.containerGroup(status.group) ?? overflow
                }
                return status
            }
        }

        /// The names in a directory, ordered.
        ///
        /// - Throws: `LXCError` `notFound`, `inUse`.
        public func list(_ path: String) async throws -> [String] { try await work { root, _ in try root.list(path) } }

        /// Reads a regular file.
        ///
        /// - Parameters:
        ///   - path: where.
        ///   - limit: the most that is read.
        /// - Returns: its contents.
        /// - Throws: `LXCError` `notFound`, `limitExceeded`, `invalidArgument` when it is no regular file, `inUse`.
        public func read(_ path: String, limit: ByteCount = .mebibytes(16)) async throws -> [UInt8] {
            try await work { root, _ in
                guard let bytes = try root.read(path, limit: Int(clamping: limit.bytes)) else {
                    throw LXCError(.notFound, "\(container.name) has no file \(path.escapedForDisplay)")
                }
                return bytes
            }
        }

        /// Writes a file whole: who reads it meanwhile has the old one or the new. A link in its place is replaced.
        ///
        /// - Throws: `LXCError` `notFound` without the directory, `invalidArgument` for an owner outside of the id map,
        ///   `inUse`.
        public func write(
            _ bytes: [UInt8], to path: String, mode: UInt16 = 0o644, owner: Owner = Owner()
        ) async throws {
            try await work { root, map in
                try root.write(bytes, to: path, mode: mode, owner: Self.hostOwner(owner, map))
            }
        }

        /// Makes a directory; one that is there is left as it is.
        ///
        /// - Throws: as ``write(_:to:mode:owner:)``.
        public func makeDirectory(_ path: String, mode: UInt16 = 0o755, owner: Owner = Owner()) async throws {
            try await work { root, map in
                try root.makeDirectory(path, mode: mode, owner: Self.hostOwner(owner, map))
            }
        }

        /// Removes a file or a link; succeeds if it is gone.
        ///
        /// - Throws: `LXCError` `io` for a directory, `inUse`.
        public func remove(_ path: String) async throws { try await work { root, _ in try root.remove(path) } }

        /// Copies a file of the host into the container.
        ///
        /// - Parameters:
        ///   - source: a regular file of the host.
        ///   - path: where it comes to be inside.
        ///   - mode: its permissions; nil takes those of the source.
        ///   - owner: whose it is inside.
        /// - Throws: as ``write(_:to:mode:owner:)``; `CancellationError`. The old file is there then.
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

        /// Copies a file of the container to the host, under a name that must be free.
        ///
        /// - Parameters:
        ///   - path: a regular file inside; a link is followed, inside.
        ///   - destination: where it comes to be on the host, for its owner alone.
        /// - Throws: `LXCError` `notFound`, `alreadyExists`, `invalidArgument` when it is no regular file, `inUse`;
        ///   `CancellationError`. Nothing is left at the destination then.
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
    /// Its files.
    public var files: LXCHypervisor.ContainerFiles { LXCHypervisor.ContainerFiles(container: self) }
}

extension GuestKeeper {
    /// Calls `body` with a container's root directory and its id map. Of a container that is not running it is the
    /// root volume, which is this host's alone meanwhile.
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

    /// Calls `body` with the root directory of a volume its guest does not run from.
    func withVolume<Value: Sendable>(
        _ volume: GuestVolume, of name: GuestName, _ body: (ConfinedRoot) async throws -> Value
    ) async throws -> Value {
        try await takeLease(on: volume, of: name)
        let result: Result<Value, any Error>
        do { result = .success(try await body(volume.store.root(of: volume.id))) } catch { result = .failure(error) }
        // libvirt or another program may have started the container meanwhile; then the volume stays this host's.
        await giveBackUnlessRunning(volume, of: name)
        return try result.get()
    }
}
