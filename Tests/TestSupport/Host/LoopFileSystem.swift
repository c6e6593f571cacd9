// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// A small file system in a file, mounted for one test and gone when the last reference goes, also after a failure.
public final class LoopFileSystem: Sendable {
    /// What kind it is.
    public enum Kind: String, CaseIterable, Sendable {
        case ext4
        case xfs
        case btrfs
    }

    /// Where it is mounted.
    public let path: String
    private let directory: String
    private let kind: Kind
    private let hasBacking: Bool

    private var image: String { directory + "/backing/image" }

    /// Makes a file system and mounts it.
    ///
    /// - Parameters:
    ///   - kind: what kind it is. ext4 takes a few MiB, btrfs 120, XFS 300.
    ///   - megabytes: its size.
    ///   - options: further options of mkfs.
    ///   - backing: the size in MiB of the tmpfs the image is in: with fewer than the image's own, blocks that seem free
    ///     cannot be written. Nil puts the image on the file system of temporary files, as a file without blocks.
    /// - Throws: `TreeShell.Failure` where it cannot be made or mounted.
    public init(_ kind: Kind, megabytes: Int, options: String = "", backing: Int? = nil) throws {
        self.kind = kind
        hasBacking = backing != nil
        directory = NSTemporaryDirectory() + "lxc-loop-\(UUID().uuidString)"
        path = directory + "/mnt"
        try TreeShell.run("mkdir -p '\(directory)/mnt' '\(directory)/backing'")
        do {
            if let backing { try TreeShell.run("mount -t tmpfs -o size=\(backing)M none '\(directory)/backing'") }
            try TreeShell.run("truncate -s \(megabytes)M '\(image)'; mkfs.\(kind.rawValue) -q \(options) '\(image)'")
            try mount()
        } catch {
            remove()
            throw error
        }
    }

    deinit { remove() }

    /// The path of a name in it.
    public func callAsFunction(_ name: String) -> String { path + "/" + name }

    /// Runs a script in it; its output without the last newline.
    @discardableResult public func shell(_ script: String) throws -> String {
        try TreeShell.run("cd '\(path)' && { \(script)\n}")
    }

    /// The names in it, hidden ones too, but for what mkfs makes.
    public func list() throws -> String { try shell("ls -A | sed '/^lost+found$/d'") }

    /// Has the contents of a file in no cache. (Unmounting would not do: programs that have taken a mount namespace of
    /// their own meanwhile keep it mounted.)
    public func dropCache(of name: String) throws {
        try TreeShell.run("dd if='\(self(name))' iflag=nocache count=0 status=none")
    }

    /// Runs a script in the directory where the file `image` is, while it is mounted.
    public func besideImage(_ script: String) throws { try TreeShell.run("cd '\(directory)/backing'; \(script)") }

    private func mount() throws { try TreeShell.run("mount -t \(kind.rawValue) -o loop '\(image)' '\(path)'") }

    /// Lazily where something still holds a file open: the loop device goes with the last one.
    private func remove() {
        if umount2(path, 0) != 0 { umount2(path, CInt(MNT_DETACH)) }
        if hasBacking { umount2(directory + "/backing", CInt(MNT_DETACH)) }
        _ = try? TreeShell.run("rm -rf --one-file-system -- '\(directory)'")
    }
}
