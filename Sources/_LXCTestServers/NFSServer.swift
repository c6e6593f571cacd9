// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Synchronization

/// An nfs-ganesha of a test's own, in private mount, network and process namespaces with its own rpcbind. It ends with
/// this value, and with the test's process however that ends.
public final class NFSServer: Sendable {
    /// The exported directory.
    public struct Export: Sendable {
        /// The directory.
        public var path: String
        /// Whether the server maps a client's root to nobody (`root_squash`).
        public var squashesRoot = false
        /// Whether nothing can be changed.
        public var isReadOnly = false
        /// The versions of the protocol it speaks, such as `3,4`.
        public var protocols = "3,4"

        /// Creates an export of a directory.
        public init(_ path: String) { self.path = path }
    }

    /// The server did not start.
    public struct Failure: Error, CustomStringConvertible {
        /// The end of its log.
        public let description: String
    }

    /// The server's address.
    public let address: String
    /// The port of NFS.
    public static let port: UInt16 = 2049
    /// The port of the MOUNT service.
    public static let mountPort: UInt16 = 20_048

    private let directory: String
    private let process: Process
    private let input: FileHandle
    private let output: FileHandle
    private let answers = Mutex(())

    /// Starts a server and waits until it serves.
    ///
    /// - Throws: ``Failure``.
    public init(_ export: Export) throws {
        directory = NSTemporaryDirectory() + "lxc-nfs-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        // Networks of four addresses in the range for tests between networks (RFC 2544), one of 32 766.
        let network = UInt32.random(in: 1...32_766) * 4
        let prefix = "198.\(18 + (network >> 16)).\(network >> 8 & 255)"
        address = "\(prefix).\((network & 255) + 2)"
        try Data(Self.script.utf8).write(to: URL(filePath: "\(directory)/serve"))
        try Data(Self.configuration(export).utf8).write(to: URL(filePath: "\(directory)/conf"))
        process = Process()
        let (input, output) = (Pipe(), Pipe())
        process.executableURL = URL(filePath: "/usr/bin/unshare")
        process.arguments = [
            "--mount", "--net", "--propagation", "private", "/bin/sh", "\(directory)/serve", directory,
            "nfs\(network)", "\(prefix).\((network & 255) + 1)", address,
        ]
        process.standardInput = input
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        self.input = input.fileHandleForWriting
        self.output = output.fileHandleForReading
        try process.run()
        try expect("ready")
    }

    deinit {
        // The end of its input ends the first process of its namespace, and with it all others there.
        try? input.close()
        process.waitUntilExit()
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// The URL of a path below the export, for calls as root.
    public func url(_ path: String = "", parameters: String = "") -> String {
        "nfs://\(address)/export\(path)?nfsport=\(Self.port)&mountport=\(Self.mountPort)\(parameters)"
    }

    /// Kills the server as in a crash: data not on disk is lost.
    public func kill() throws { try command("kill", "killed") }

    /// Starts it again.
    public func start() throws { try command("start", "ready") }

    private func command(_ command: String, _ answer: String) throws {
        try answers.withLock { _ in
            try input.write(contentsOf: Data("\(command)\n".utf8))
            try expect(answer)
        }
    }

    private func expect(_ answer: String) throws {
        var line: [UInt8] = []
        while let byte = try output.read(upToCount: 1)?.first, byte != UInt8(ascii: "\n") { line.append(byte) }
        guard String(decoding: line, as: UTF8.self) == answer else {
            let log = (try? String(contentsOfFile: "\(directory)/log", encoding: .utf8)) ?? ""
            throw Failure(description: "nfs-ganesha: \(String(decoding: line, as: UTF8.self)) \(log.suffix(2_000))")
        }
    }

    /// First private mounts and a network that a pair of virtual interfaces joins to the tests', then private processes.
    private static let script = """
        set -eu
        directory=$1
        if [ "${5:-}" = "" ]; then
            mount -t tmpfs none /run
            mkdir -p /var/lib/nfs /run/rpcbind /run/ganesha
            mount -t tmpfs none /var/lib/nfs
            mkdir -p /var/lib/nfs/ganesha
            outside="nsenter --net=/proc/$PPID/ns/net ip"
            $outside link add "$2" type veth peer name nfs0 netns $$
            $outside addr add "$3/30" dev "$2"
            $outside link set "$2" up
            ip link set lo up
            ip addr add "$4/30" dev nfs0
            ip link set nfs0 up
            exec unshare --pid --fork --kill-child --mount-proc /bin/sh "$0" "$@" inside
        fi
        start() {
            : >"$directory/log"
            ganesha.nfsd -F -f "$directory/conf" -L "$directory/log" -p "$directory/pid" -N NIV_EVENT \\
                </dev/null >/dev/null 2>&1 &
            server=$!
            until grep -q 'NFS SERVER INITIALIZED' "$directory/log"; do
                kill -0 $server 2>/dev/null || { echo failed; return; }
                sleep 0.05
            done
            echo ready
        }
        rpcbind -w </dev/null >/dev/null 2>&1
        start
        while read -r command; do
            case $command in
            kill) kill -9 $server; wait $server || true; echo killed ;;
            start) start ;;
            esac
        done
        """

    private static func configuration(_ export: Export) -> String {
        """
        NFS_CORE_PARAM {
            Protocols = \(export.protocols); NFS_Port = \(port); MNT_Port = \(mountPort); Enable_NLM = false;
            Enable_RQUOTA = false; Enable_UDP = false; mount_path_pseudo = true;
        }
        NFSV4 { RecoveryBackend = fs; Graceless = true; Only_Numeric_Owners = true; }
        EXPORT {
            Export_Id = 1; Path = \(export.path); Pseudo = /export; Access_Type = \(export.isReadOnly ? "RO" : "RW");
            Squash = \(export.squashesRoot ? "Root_Squash" : "No_Root_Squash"); SecType = sys; Transports = TCP;
            Protocols = \(export.protocols); FSAL { Name = VFS; }
        }
        """
    }
}
