// SPDX-License-Identifier: Apache-2.0

import Glibc
public import LXCCore
import Synchronization

/// Mounts the export of a pool on this host, where containers have their roots in it.
///
/// The library's own is libvirt's: a `netfs` storage pool named by the pool's UUID. ``ExistingMount`` leaves mounting to
/// the administrator.
public protocol HostMounter: Sendable {
    /// Mounts the export, unless it is mounted already.
    ///
    /// - Returns: the mount point. The store checks for itself that it is the pool's.
    /// - Throws: `LXCError` `unavailable`, `hypervisor` and what else mounting says.
    func mount(_ export: NFSExport, for pool: PoolID) async throws -> HostMount
    /// Undoes ``mount(_:for:)``. Succeeds if it is not mounted.
    ///
    /// - Throws: `LXCError` `inUse` or `hypervisor` while files in it are in use.
    func unmount(_ export: NFSExport, for pool: PoolID) async throws
}

/// The host's mount of an export.
public struct HostMount: Hashable, Sendable {
    /// The directory it is mounted on.
    public var directory: String
    /// A process that sees the mount if this process does not: that of a libvirtd with a mount namespace of its own,
    /// which then starts the containers.
    public var process: Int32?

    /// Creates the description of a mount.
    public init(directory: String, process: Int32? = nil) {
        self.directory = directory
        self.process = process
    }

    /// The process's directory in proc(5), which lists its mounts.
    var view: String { "/proc/\(process.map(String.init) ?? "self")" }
}

/// A directory of an NFS server, as the kernel mounts it.
public struct NFSExport: Hashable, Sendable {
    /// The server's name or address.
    public var server: String
    /// The directory on the server.
    public var path: String
    /// The NFS version asked for; nil leaves it to the host.
    public var version: String?
    /// NFS's TCP port; nil for the one the server reports, or the standard one.
    public var port: UInt16?
    /// The MOUNT service's TCP port; nil for the one the server reports, or the standard one.
    public var mountPort: UInt16?

    /// Creates the description of an export.
    public init(
        server: String, path: String, version: String? = nil, port: UInt16? = nil, mountPort: UInt16? = nil
    ) {
        self.server = server
        self.path = path
        self.version = version
        self.port = port
        self.mountPort = mountPort
    }
}

/// The mount an administrator made, at `/mnt/<pool uuid>` or elsewhere; nothing is mounted or unmounted.
public struct ExistingMount: HostMounter {
    private let directory: String?

    /// Creates a mounter for an existing mount at a directory; nil is CloudStack's, `/mnt/<pool uuid>`.
    public init(_ directory: String? = nil) { self.directory = directory }

    /// The directory, whether or not anything is mounted there.
    public func mount(_ export: NFSExport, for pool: PoolID) -> HostMount {
        HostMount(directory: directory ?? "/mnt/\(pool)")
    }

    /// Does nothing.
    public func unmount(_ export: NFSExport, for pool: PoolID) {}
}

/// The kernel's description of the file system mounted at a path.
package struct MountedFileSystem {
    /// Its type, such as `nfs4`.
    package let type: String
    /// The mounted source, such as `server:/export`.
    package let source: String

    /// The file system mounted exactly at `path`, the topmost of several; nil if there is none.
    package init?(at path: String, table: String) {
        let lines = table.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        let mounted = lines.last { $0.count > 4 && Self.unescaped($0[4]) == path }
        // Optional fields end with a dash; type and source follow.
        guard let fields = mounted, let dash = fields.dropFirst(6).firstIndex(of: "-"), fields.count > dash + 2 else {
            return nil
        }
        type = fields[dash + 1]
        source = Self.unescaped(fields[dash + 2])
    }

    /// The kernel writes space, tab, line feed and backslash as three octal digits (proc_pid_mountinfo(5)).
    private static func unescaped(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3,
                let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Limits calls on a mount whose server may be gone: the kernel waits endlessly then, without being interruptible.
enum TimeLimited {
    /// The places threads that were left behind wait for.
    private static let stuck = Mutex<Set<String>>([])

    /// Whether the call on a place has returned, and whether its caller still waits.
    private final class Call: Sendable {
        private let place: String
        private let state = Mutex((hasReturned: false, isAbandoned: false))

        init(_ place: String) { self.place = place }

        func hasReturned() {
            state.withLock { state in
                state.hasReturned = true
                if state.isAbandoned { TimeLimited.stuck.withLock { _ = $0.remove(place) } }
            }
        }

        func abandon() {
            state.withLock { state in
                state.isAbandoned = true
                if !state.hasReturned { TimeLimited.stuck.withLock { _ = $0.insert(place) } }
            }
        }
    }

    /// Runs `body` on a thread of its own, which is left behind when it does not return in time. As long as one waits for a
    /// place, the place is not asked again.
    ///
    /// - Throws: `LXCError` `unavailable` when the time is over, and what `body` throws.
    static func run<Value: Sendable>(
        _ limit: Duration, _ place: String, _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        let remedy = "is the NFS server there? mount it again"
        guard !stuck.withLock({ $0.contains(place) }) else {
            throw LXCError(.unavailable, "\(place) has not answered for longer than \(limit); \(remedy)")
        }
        let results = AsyncThrowingStream<Value, any Error>.makeStream()
        let call = Call(place)
        SystemThread.detach("lxc-mount") {
            let result = Result { try body() }
            call.hasReturned()
            if case .success(let value) = result { results.continuation.yield(value) }
            results.continuation.finish(throwing: result.failure)
        }
        let timer = Task {
            try await Task.sleep(for: limit)
            results.continuation.finish(
                throwing: LXCError(.unavailable, "\(place) does not answer within \(limit); \(remedy)"))
        }
        defer {
            timer.cancel()
            call.abandon()
        }
        for try await value in results.stream { return value }
        try Task.checkCancellation()
        throw LXCError(.unavailable, "\(place) did not answer")
    }
}

extension Result {
    fileprivate var failure: Failure? {
        guard case .failure(let failure) = self else { return nil }
        return failure
    }
}
