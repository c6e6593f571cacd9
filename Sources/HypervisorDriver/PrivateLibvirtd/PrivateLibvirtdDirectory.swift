// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import LXCCore
import LinuxSystem

/// The directory of a private daemon, and what of it the daemon sees where.
struct PrivateLibvirtdDirectory: Sendable {
    /// The directory's absolute path.
    let path: String

    /// The directories the daemon sees in place of the system daemon's.
    static let mounts = [
        (name: "run", target: "/run/libvirt"), (name: "etc", target: "/etc/libvirt"),
        (name: "lib", target: "/var/lib/libvirt"), (name: "log", target: "/var/log/libvirt"),
        (name: "cache", target: "/var/cache/libvirt"),
    ]

    var socket: String { path + "/run/libvirt-sock" }
    var logSocket: String { path + "/run/virtlogd-sock" }
    /// The file of the daemon's process id.
    var processFile: String { path + "/run/libvirtd.pid" }
    var log: String { path + "/log/libvirtd.log" }
    var lock: String { path + "/lock" }

    /// Checks the path and makes the directory with everything the daemon needs; existing files stay.
    ///
    /// - Parameters:
    ///   - path: the directory.
    ///   - isRemoved: whether it is removed with the daemon; then it must hold nothing else.
    /// - Throws: `invalidArgument` for an unusable path, `unsafe` if another user could write to it.
    init(_ path: String, isRemoved: Bool) throws {
        self.path = path
        try checkPath()
        try Self.makeDirectories(String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]), mode: 0o755)
        try Self.makeDirectory(path, mode: 0o700)
        try checkOwner()
        if isRemoved { try checkContents() }
        for mount in Self.mounts {
            try Self.makeDirectory("\(path)/\(mount.name)", mode: 0o755)
            try Self.makeDirectories(mount.target, mode: 0o755)
        }
        try copyNetworkFilters()
        try write("libvirtd.conf", configuration(logName: "libvirtd") + access)
        try write("virtlogd.conf", configuration(logName: "virtlogd"))
        // Virtual machines write their logs themselves, so that a daemon that was started for containers runs them too.
        try write("etc/qemu.conf", "stdio_handler = \"file\"\n")
    }

    private func checkPath() throws(LXCError) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        let isPlain =
            path.hasPrefix("/") && parts.count > 1 && !parts.dropFirst().contains { ["", ".", ".."].contains($0) }
        guard isPlain, !path.utf8.contains(where: { $0 < 0x20 || $0 == UInt8(ascii: "\"") }) else {
            throw LXCError(
                .invalidArgument,
                "\"\(path.escapedForDisplay)\" cannot be the directory of a private libvirtd; use an "
                    + "absolute path without . and .., quotes and control characters")
        }
        // sun_path holds 108 bytes, the last of them a NUL.
        guard socket.utf8.count < 108 else {
            throw LXCError(
                .invalidArgument,
                "the directory \(path.escapedForDisplay) is too long for a private libvirtd: a "
                    + "socket's path may have 107 bytes, and \(socket.utf8.count - path.utf8.count) are needed")
        }
        if let hidden = Self.mounts.first(where: { path == $0.target || path.hasPrefix($0.target + "/") }) {
            throw LXCError(
                .invalidArgument,
                "the directory \(path.escapedForDisplay) of a private libvirtd must not lie in "
                    + "\(hidden.target), which the daemon sees as its own; use another")
        }
    }

    /// Refuses a directory with foreign files: all of it would be removed with the daemon.
    private func checkContents() throws {
        let ours = Self.mounts.map(\.name) + ["libvirtd.conf", "virtlogd.conf", "lock"]
        guard let other = try DurableFile.list(path).first(where: { !ours.contains($0) }) else { return }
        throw LXCError(
            .invalidArgument,
            "\(path.escapedForDisplay) holds \(other.escapedForDisplay), and a private libvirtd removes its directory when "
                + "it ends; use an empty or missing directory")
    }

    private func checkOwner() throws(LXCError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw .lastSystemCall("lstat", "look at \(path.escapedForDisplay)") }
        guard status.st_mode & S_IFMT == S_IFDIR, status.st_uid == 0, status.st_mode & 0o022 == 0 else {
            throw LXCError(
                .unsafe,
                "\(path.escapedForDisplay) must be a directory that belongs to root and that no other user can "
                    + "write to, because a private libvirtd trusts its contents")
        }
    }

    private func configuration(logName: String) -> String {
        "log_outputs = \"3:file:\(path)/log/\(logName).log\"\n"
    }

    private var access: String {
        """
        auth_unix_ro = "none"
        auth_unix_rw = "none"
        unix_sock_group = "root"
        unix_sock_ro_perms = "0700"
        unix_sock_rw_perms = "0700"

        """
    }

    /// The filters the distribution brings, such as clean-traffic: a daemon without them refuses NICs that use one.
    private func copyNetworkFilters() throws {
        let source = "/etc/libvirt/nwfilter"
        let target = path + "/etc/nwfilter"
        guard mkdir(target, 0o700) == 0 else {
            if errno == EEXIST { return }
            throw LXCError.lastSystemCall("mkdir", "make \(target.escapedForDisplay)")
        }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: source)) ?? []
        for name in names where name.hasSuffix(".xml") {
            guard let contents = FileManager.default.contents(atPath: "\(source)/\(name)") else { continue }
            try Self.write(contents, to: "\(target)/\(name)")
        }
    }

    private func write(_ name: String, _ text: String) throws {
        try Self.write(Data(text.utf8), to: "\(path)/\(name)")
    }

    private static func write(_ contents: Data, to path: String) throws {
        do {
            try contents.write(to: URL(filePath: path), options: .atomic)
        } catch {
            throw LXCError(.io, "cannot write \(path.escapedForDisplay)", cause: error)
        }
    }

    private static func makeDirectory(_ path: String, mode: mode_t) throws(LXCError) {
        if mkdir(path, mode) != 0, errno != EEXIST {
            throw .lastSystemCall("mkdir", "make the directory \(path.escapedForDisplay) for a private libvirtd")
        }
    }

    private static func makeDirectories(_ path: String, mode: mode_t) throws(LXCError) {
        for (index, character) in zip(path.indices, path) where character == "/" && index != path.startIndex {
            try makeDirectory(String(path[..<index]), mode: mode)
        }
        if !path.isEmpty { try makeDirectory(path, mode: mode) }
    }
}
