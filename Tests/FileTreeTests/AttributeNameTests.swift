// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LXCCore
import LinuxSystem
import TarArchive
import TestSupport
import Testing

/// What an archive can set by the names of attributes, as the system's own tools see it.
@Suite(.tags(.host), .limited, .host(.root))
struct AttributeNameTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// Capabilities of the host's own root, as no container may get them.
    private static let hostCapability: [UInt8] = [1, 0, 0, 2, 2, 0, 0x20, 0] + [UInt8](repeating: 0, count: 12)
    /// A list that lets the user 1000 read and write.
    private static let list = AccessControlList([
        .init(tag: .owner, permissions: 6), .init(tag: .user, permissions: 6, id: 1000),
        .init(tag: .owningGroup, permissions: 4), .init(tag: .mask, permissions: 6), .init(tag: .other, permissions: 4),
    ])

    private func unpack(_ name: String, _ value: [UInt8], to tree: String) async throws -> TreeSummary {
        var tar = TarBuilder()
        tar.addPax([(name, value)])
        tar.add("f", mode: 0o755)
        let archive = TarArchive(try scratch.write(tar.finished(), to: "archive"))
        var options = TreeCopyOptions()
        options.destinationMap = try IDMap(host: 100_000, count: 65_536)
        return try await TreeCopy.run(from: archive, to: LocalTree(tree), options: options)
    }

    /// What is set of a file, but for the user's own attributes.
    private func described(_ tree: String) throws -> String {
        try scratch.shell(
            "cd '\(tree)'; getfattr -d -m - -e hex f | sed '/^#/d;/^user/d'; getfacl -nc f | grep 'user:[0-9]' || :")
    }

    @Test func aNULInANameGivesNothing() async throws {
        let base64 = { (bytes: [UInt8]) in Array(Data(bytes).base64EncodedString().utf8) }
        let lists = "system.posix_acl_access"
        let attacks = [
            ("SCHILY.xattr.security.capability\0x", Self.hostCapability),
            ("LIBARCHIVE.xattr.security.capability%00x", base64(Self.hostCapability)),
            ("SCHILY.xattr.\(lists)\0x", Self.list.value), ("LIBARCHIVE.xattr.\(lists)%00", base64(Self.list.value)),
        ]
        for (index, (name, value)) in attacks.enumerated() {
            let summary = try await unpack(name, value, to: scratch("tree\(index)"))
            #expect(try described(scratch("tree\(index)")) == "", "\(name)")
            #expect(summary.losses.kinds.count == 1)
            // What is lost by its source is in no digest.
            let map = try IDMap(host: 100_000, count: 65_536)
            var options = TreeCopyOptions()
            options.sourceMap = map
            #expect(try await TreeCopy.examine(scratch.tree("tree\(index)"), options: options).digest == summary.digest)
        }
    }

    @Test func honestNamesAreBroughtToTheContainersIDs() async throws {
        _ = try await unpack("SCHILY.xattr.security.capability", Self.hostCapability, to: scratch("capability"))
        let value = try described(scratch("capability"))
        #expect(value.hasPrefix("security.capability=0x01000003"), "\(value)")
        #expect(value.contains("a0860100"), "\(value)")
        _ = try await unpack("SCHILY.xattr.system.posix_acl_access", Self.list.value, to: scratch("list"))
        #expect(try described(scratch("list")).contains("user:101000:rw-"))
    }

    /// XFS shows a list under a second name, with ids as they are on disk: set under that name it passes every map.
    @Test func listsOfXFSAreBroughtToTheContainersIDs() async throws {
        let disk = try LoopFileSystem(.xfs, megabytes: 300)
        try disk.shell("mkdir source; : > source/f; setfacl -m u:1000:rw source/f")
        #expect(try disk.shell("getfattr -n trusted.SGI_ACL_FILE source/f").contains("SGI_ACL"))
        var options = TreeCopyOptions()
        options.destinationMap = try IDMap(host: 100_000, count: 65_536)
        options.lossless = true
        let summary = try await TreeCopy.run(
            from: LocalTree(disk("source")), to: LocalTree(disk("clone")), options: options)
        #expect(try described(disk("clone")).contains("user:101000:rw-"))
        _ = try await TreeCopy.run(from: LocalTree(disk("source")), to: scratch.tree("elsewhere"))
        #expect(try await TreeCopy.examine(scratch.tree("elsewhere")).digest == summary.digest)
        // An archive must not bring one either.
        _ = try await unpack("SCHILY.xattr.trusted.SGI_ACL_FILE", [0, 0, 0, 0], to: disk("unpacked"))
        #expect(try disk.shell("getfattr -d -m - unpacked/f") == "")
    }

    @Test func linksWithANULAreRefused() async throws {
        var tree = ListedTree()
        let entry = TreeEntry(path: try TreePath("l"), kind: .symbolicLink(target: [0x61, 0, 0x62]), mode: 0o777)
        tree.nodes.append(ReadEntry(entry: entry))
        await expect(.unsafe) { try await TreeCopy.run(from: tree, to: scratch.tree("tree")) }
    }

    @Test func pathsWithANULLeadNowhere() async throws {
        try scratch.shell("mkdir tree; : > tree/f")
        let root = try ConfinedRoot(path: scratch("tree"), shown: "the tree")
        expect(.invalidArgument) { try root.remove("f\0x") }
        expect(.invalidArgument) { try root.write([1], to: "f\0x", owner: (0, 0)) }
        expect(.invalidArgument) { try root.makeDirectory("d\0x", owner: (0, 0)) }
        #expect(await codeThrown { try await TreeCopy.examine(LocalTree(scratch("tree\0x"))) } != nil)
        expect(.invalidArgument) { try DurableFile.write([1], to: scratch("other\0x")) }
        #expect(try scratch.shell("find . | sort") == ".\n./tree\n./tree/f")
    }
}
