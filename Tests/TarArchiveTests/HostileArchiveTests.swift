// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import LinuxSystem
import TarArchive
import TestSupport
import Testing

/// Archives made to do harm: each is refused with a typed error, leaves nothing behind, and changes nothing outside.
@Suite(.limited)
struct HostileArchiveTests {
    let scratch: ScratchDirectory

    init() throws {
        scratch = try ScratchDirectory()
        try scratch.shell("mkdir victim; printf keep > victim/file")
    }

    private func unpack(
        _ builder: TarBuilder, _ options: TreeCopyOptions = TreeCopyOptions(),
        resolution: PathResolution = .automatic
    ) async throws -> TreeSummary {
        var options = options
        options.destinationMap = try IDMap.ofTestUser()
        let archive = TarArchive(try scratch.write(builder.finished(), to: "archive"))
        let tree = LocalTree(scratch("tree"), resolution: resolution)
        return try await TreeCopy.run(from: archive, to: tree, options: options)
    }

    @Test(arguments: Attack.all) func attackIsRefused(attack: Attack) async throws {
        var builder = TarBuilder()
        attack.build(&builder)
        let before = try scratch.shell("stat -c '%n %i %a %s %Y %h' victim victim/file")
        for resolution in PathResolution.allCases {
            var options = TreeCopyOptions()
            options.requiresSafeRoot = attack.safeRoot
            let refused = await failure { _ = try await unpack(builder, options, resolution: resolution) }
            #expect(refused?.code == attack.code, "\(String(describing: refused))")
            #expect(try scratch.shell("ls -A") == "archive\nvictim")
        }
        var options = TreeCopyOptions()
        options.requiresSafeRoot = attack.safeRoot
        let archive = TarArchive(scratch("archive"))
        let examined = await failure { _ = try await TreeCopy.examine(archive, options: options) }
        #expect(examined?.code == attack.code, "\(String(describing: examined))")
        if attack.safeRoot {
            options.requiresSafeRoot = false
            #expect(await failure { _ = try await TreeCopy.examine(archive, options: options) } == nil)
        }
        #expect(try scratch.shell("stat -c '%n %i %a %s %Y %h' victim victim/file") == before)
    }

    @Test(arguments: PathResolution.allCases)
    func replacedEntriesNeverLeadOut(resolution: PathResolution) async throws {
        var builder = TarBuilder()
        builder.add("file", type: "2", link: "../victim/file")
        builder.add("file", data: Array("mine".utf8))
        builder.add("directory", type: "2", link: "../victim")
        builder.add("directory/", type: "5", mode: 0o700)
        builder.add("directory/inside", data: [1])
        builder.add("swap/file", data: [1])
        builder.add("swap", type: "2", link: "../victim")
        builder.add("link", type: "2", link: "../victim/file")
        builder.add("second", type: "1", mode: 0o777, link: "link")
        let summary = try await unpack(builder, resolution: resolution)
        #expect(try scratch.shell("cat victim/file; ls -A victim; stat -c %h victim/file") == "keepfile\n1")
        #expect(try scratch.shell("cat tree/file; ls -A tree/directory") == "mineinside")
        #expect(try scratch.shell("readlink tree/swap tree/second") == "../victim\n../victim/file")
        #expect(summary.digest == (try await TreeCopy.examine(TarArchive(scratch("archive"))).digest))
        #expect(summary.counts.hardLinks == 1)
    }

    @Test(.host(.root))
    func replacedTreesHaveTheDigestOfWhatIsLeft() async throws {
        var builder = TarBuilder()
        builder.add("a/b/c", data: [1])
        builder.add("h", type: "1", link: "a/b/c")
        builder.add("a", data: [2])
        builder.add("a/", type: "5", mode: 0o711)
        builder.add("a/b/d", data: [3])
        builder.add("x/y", type: "5", mode: 0o700)
        builder.add("x", type: "2", link: "a")
        builder.add("x", type: "5", mode: 0o755)
        let summary = try await unpack(builder)
        #expect(try scratch.shell("cd tree; find . | sort") == ".\n./a\n./a/b\n./a/b/d\n./h\n./x")
        #expect(summary.digest == (try await TreeCopy.examine(scratch.tree("tree")).digest))
        #expect(summary.counts.hardLinks == 0)
    }

    @Test func safeRootWithUsualLinksIsAccepted() async throws {
        var builder = TarBuilder()
        builder.add("dev", type: "2", link: "/dev")
        for name in ["usr/sbin", "usr/bin", "dev", "proc", "sys", "run", "usr/etc"] {
            builder.add(name, type: "5", mode: 0o755)
        }
        builder.add("sbin", type: "2", link: "usr/local/../sbin")
        builder.add("etc", type: "2", link: "./merged/etc/")
        builder.add("merged", type: "2", link: "usr")
        builder.add("usr/local", type: "5", mode: 0o755)
        var options = TreeCopyOptions()
        options.requiresSafeRoot = true
        for resolution in PathResolution.allCases {
            let summary = try await unpack(builder, options, resolution: resolution)
            #expect(summary.counts.symbolicLinks == 3)
            try await scratch.tree("tree").requireSafeRoot()
            try await scratch.tree("tree").remove()
        }
        let summary = try await TreeCopy.examine(TarArchive(scratch("archive")), options: options)
        #expect(summary.counts.symbolicLinks == 3)
    }

    @Test(arguments: ["../x", "a/../../x", "/etc/passwd", "..", "a/.."])
    func namesThatLeadOutsideAreUnsafe(name: String) {
        #expect(code { $0.add(name) } == .unsafe)
        // All readers take an absolute target for a name inside.
        #expect(code { $0.add("hard", type: "1", link: name) } == (name.hasPrefix("/") ? nil : .unsafe))
        let pax = code {
            $0.addPax(["path": name])
            $0.add("harmless")
        }
        #expect(pax == .unsafe)
    }

    @Test func whatFollowsANULInAHeadersNameIsNoPartOfIt() throws {
        var builder = TarBuilder()
        builder.add("name\u{0}/../../x")
        #expect(try readAll(builder.finished()).entries.map(\.path) == ["name"])
    }

    @Test(arguments: ["0", "1", "2", "6"] as [Character], [".", "././."])
    func rootIsADirectory(type: Character, name: String) async throws {
        var builder = TarBuilder()
        builder.add(name, type: type, link: "target")
        let archive = TarArchive(try scratch.write(builder.finished(), to: "archive"))
        #expect(await failure { _ = try await TreeCopy.examine(archive) }?.code == .unsafe)
    }

    @Test func ownersBeyondWhatLinuxKnowsAreUnsafe() {
        #expect(code { $0.add("x", user: 1 << 32) } == .unsafe)
        #expect(code { $0.add("x", group: (1 << 32) - 1) } == .unsafe)
        #expect(code { $0.add("x", group: -1) } == .unsafe)
        #expect(code { $0.add("x", user: 1 << 32 - 2) } == nil)
    }

    @Test func limitsHoldForNamesTargetsAndAttributes() async throws {
        var options = TreeCopyOptions()
        options.limits.pathLength = 10
        options.limits.linkTargetLength = 20
        options.limits.attributeBytes = 30
        let target = String(repeating: "t", count: 20)
        let cases: [(isRefused: Bool, build: (inout TarBuilder) -> Void)] = [
            (false, { $0.add("0123456789") }),
            (true, { $0.add("0123456789a") }),
            (true, { $0.add("l", type: "1", link: "0123456789a") }),
            (false, { $0.add("l", type: "2", link: target) }),
            (true, { $0.add("l", type: "2", link: target + "t") }),
            (
                true,
                {
                    $0.addPax(["SCHILY.xattr.user.a": "0123456789", "SCHILY.xattr.user.b": "0123456789"])
                    $0.add("x")
                }
            ),
        ]
        for (index, (isRefused, build)) in cases.enumerated() {
            var builder = TarBuilder()
            build(&builder)
            let archive = TarArchive(try scratch.write(builder.finished(), to: "archive"))
            let refused = await failure { _ = try await TreeCopy.examine(archive, options: options) }
            #expect(refused?.code == (isRefused ? .limitExceeded : nil), "\(index)")
        }
    }

    @Test func bombsHitTheRatio() async throws {
        try scratch.shell(
            """
            truncate -s 200M zeros; tar -cf - zeros | xz > xz; tar -cf - zeros | bzip2 > bzip2
            tar -cf - zeros | zstd -q > zstd
            """)
        for name in ["xz", "bzip2", "zstd"] {
            let refused = await failure { _ = try await TreeCopy.examine(TarArchive(scratch(name))) }
            #expect(refused?.code == .limitExceeded, "\(name)")
        }
        try scratch.shell("tar -cf - zeros | gzip > gzip")
        for packing in Packing.gzip {
            let archive = TarArchive(scratch("gzip"), reading: packing.reading)
            var options = TreeCopyOptions()
            options.limits.expansionRatio = 500
            let refused = await failure { _ = try await TreeCopy.examine(archive, options: options) }
            #expect(refused?.code == .limitExceeded)
            options.limits.expansionRatio = 2_000
            #expect(try await TreeCopy.examine(archive, options: options).counts.files == 1)
        }
    }

    @Test func bombsHitTheRatioWhileTheyArePassedOver() throws {
        try scratch.shell("truncate -s 80M zeros; tar -cf - zeros | gzip > packed")
        var limits = TreeLimits()
        limits.expansionRatio = 100
        let source = try TarArchive(scratch("packed")).openForReading(TreeOpening(limits: limits))
        _ = try source.next()
        expect(.limitExceeded) { _ = try source.next() }
    }

    /// The code with which reading an archive to its end is refused.
    private func code(_ build: (inout TarBuilder) -> Void) -> LXCError.Code? {
        var builder = TarBuilder()
        build(&builder)
        return errorCode { _ = try readAll(builder.finished()) }
    }
}
