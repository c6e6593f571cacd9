import FileTree
import LXCCore
import TarArchive
import TestSupport
import Testing

/// Archives made to do harm: each is refused with a typed error, leaves nothing behind, and changes nothing outside.
@Suite(.timeLimit(.minutes(2)))
struct HostileArchiveTests {
    struct Attack: Sendable, CustomTestStringConvertible {
        let name: String
        let code: LXCError.Code
        var safeRoot = false
        let build: @Sendable (inout TreeTarBuilder) -> Void
        var testDescription: String { name }
    }

    static let attacks: [Attack] = [
        Attack(name: "parent", code: .unsafe) { $0.add("../pwned") },
        Attack(name: "parent inside", code: .unsafe) { $0.add("a/../../pwned") },
        Attack(name: "absolute", code: .unsafe) { $0.add("/tmp/pwned") },
        Attack(name: "empty name", code: .unsafe) { $0.add("") },
        Attack(name: "NUL in a pax path", code: .unsafe) {
            $0.addPax([("path", [0x61, 0, 0x62])])
            $0.add("x")
        },
        Attack(name: "root as symbolic link", code: .unsafe) { $0.add(".", type: "2", link: "/tmp") },
        Attack(name: "root as file", code: .unsafe) { $0.add("./", type: "2", link: "../victim") },
        Attack(name: "write through a symbolic link", code: .unsafe) {
            $0.add("l", type: "2", link: "../victim")
            $0.add("l/pwned", data: [1])
        },
        Attack(name: "write through an absolute symbolic link, deeper", code: .unsafe) {
            $0.add("l", type: "2", link: "/tmp")
            $0.add("l/a/b/pwned", data: [1])
        },
        Attack(name: "entry below a file", code: .unsafe) {
            $0.add("f", data: [1])
            $0.add("f/x", data: [1])
        },
        Attack(name: "hard link outside", code: .unsafe) { $0.add("h", type: "1", link: "../victim/file") },
        Attack(name: "hard link absolute", code: .unsafe) { $0.add("h", type: "1", link: "/etc/passwd") },
        Attack(name: "hard link through a symbolic link", code: .corrupt) {
            $0.add("l", type: "2", link: "../victim")
            $0.add("h", type: "1", link: "l/file")
        },
        Attack(name: "hard link to itself", code: .unsafe) { $0.add("h", type: "1", link: "./h") },
        Attack(name: "hard link to what comes later", code: .corrupt) {
            $0.add("h", type: "1", link: "f")
            $0.add("f")
        },
        Attack(name: "hard link to a directory", code: .unsafe) {
            $0.add("d", type: "5")
            $0.add("h", type: "1", link: "d")
        },
        Attack(name: "hard link to the root", code: .unsafe) { $0.add("h", type: "1", link: "./") },
        Attack(name: "hard link to what it replaces", code: .corrupt) {
            $0.add("d/f", data: [1])
            $0.add("d", type: "1", link: "d/f")
        },
        Attack(name: "hard link to what was replaced", code: .corrupt) {
            $0.add("d/f", data: [1])
            $0.add("d", data: [2])
            $0.add("d", type: "5")
            $0.add("h", type: "1", link: "d/f")
        },
        Attack(name: "owner that means none", code: .unsafe) {
            $0.addPax(["uid": "4294967295"])
            $0.add("f")
        },
        Attack(name: "owner too large", code: .corrupt) {
            $0.addPax(["uid": "4294967296"])
            $0.add("f")
        },
        Attack(name: "path too long", code: .limitExceeded) {
            $0.addPax(["path": String(repeating: "a/", count: 10_000)])
            $0.add("f")
        },
        Attack(name: "path too deep", code: .limitExceeded) {
            $0.addPax(["path": String(repeating: "a/", count: 600)])
            $0.add("f")
        },
        Attack(name: "sparse bomb", code: .limitExceeded) {
            $0.addPax(["GNU.sparse.size": "9000000000000000000", "GNU.sparse.map": "0,1"])
            $0.add("f", data: [1])
        },
        Attack(name: "sparse map out of order", code: .corrupt) {
            $0.addPax(["GNU.sparse.size": "100", "GNU.sparse.map": "50,1,0,1"])
            $0.add("f", data: [1, 2])
        },
        Attack(name: "sparse map that wraps around", code: .corrupt) {
            $0.addPax(["GNU.sparse.size": "100", "GNU.sparse.map": "18446744073709551615,2"])
            $0.add("f", data: [1, 2])
        },
        Attack(name: "sparse map longer than the data", code: .corrupt) {
            $0.addPax(["GNU.sparse.size": "100000", "GNU.sparse.map": "0,50000"])
            $0.add("f", data: [1, 2])
        },
        Attack(name: "sparse map without end", code: .corrupt) {
            $0.addPax(["GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "5"])
            $0.add("f", data: Array("9999999999\n".utf8))
        },
        Attack(name: "negative size", code: .corrupt) {
            $0.addPax(["size": "-1"])
            $0.add("f")
        },
        Attack(name: "size beyond the archive", code: .corrupt) {
            $0.addPax(["size": "9223372036854775807"])
            $0.add("d", type: "6")
            $0.addRaw([UInt8](repeating: 1, count: 512))
        },
        Attack(name: "huge extended header", code: .limitExceeded) { $0.add("x", type: "x", size: 1 << 30) },
        Attack(name: "malformed extended header", code: .corrupt) {
            $0.add("x", type: "x", data: Array("999 path=x\n".utf8))
            $0.add("f")
        },
        Attack(name: "extended headers without an entry", code: .corrupt) { builder in
            for _ in 0..<100 { builder.addPax(["comment": "x"]) }
        },
        Attack(name: "extended header at the end", code: .corrupt) { $0.addPax(["path": "x"]) },
        Attack(name: "one path for all", code: .corrupt) {
            $0.addPax([("path", Array("x".utf8))], type: "g")
            $0.add("f")
        },
        Attack(name: "unknown kind", code: .unsupported) { $0.add("f", type: "Q") },
        Attack(name: "device numbers out of range", code: .corrupt) { $0.add("f", type: "3", major: 5_000) },
        Attack(name: "data after the end", code: .corrupt) {
            $0.add("f")
            $0.addRaw([UInt8](repeating: 0, count: 1024))
            $0.add("second archive")
        },
        Attack(name: "empty link target", code: .unsafe) { $0.add("l", type: "2") },
        Attack(name: "proc as symbolic link", code: .unsafe, safeRoot: true) {
            $0.add("proc", type: "2", link: "usr")
            $0.add("usr", type: "5")
        },
        Attack(name: "dev as file", code: .unsafe, safeRoot: true) { $0.add("dev") },
        Attack(name: "sbin leading out", code: .unsafe, safeRoot: true) {
            $0.add("sbin", type: "2", link: "../../sbin")
        },
        Attack(name: "sbin leading out in two steps", code: .unsafe, safeRoot: true) {
            $0.add("sbin", type: "2", link: "usr/sbin")
            $0.add("usr/sbin", type: "2", link: "../../bin")
        },
        Attack(name: "etc absolute", code: .unsafe, safeRoot: true) { $0.add("etc", type: "2", link: "/etc") },
        Attack(name: "etc in a circle", code: .unsafe, safeRoot: true) { $0.add("etc", type: "2", link: "etc") },
    ]

    let scratch: TreeScratch

    init() throws {
        scratch = try TreeScratch()
        try scratch.shell("mkdir victim; printf keep > victim/file")
    }

    private func unpack(
        _ builder: TreeTarBuilder, _ options: TreeCopyOptions = TreeCopyOptions(),
        resolution: PathResolution = .automatic
    ) async throws -> TreeSummary {
        var options = options
        options.destinationMap = try TarHostile.ownMap()
        let archive = TarArchive(try scratch.write(builder.finished(), to: "archive"))
        let tree = LocalTree(scratch("tree"), resolution: resolution)
        return try await TreeCopy.run(from: archive, to: tree, options: options)
    }

    @Test(arguments: attacks) func attackIsRefused(attack: Attack) async throws {
        var builder = TreeTarBuilder()
        attack.build(&builder)
        let before = try scratch.shell("stat -c '%n %i %a %s %Y %h' victim victim/file")
        for resolution in PathResolution.allCases {
            var options = TreeCopyOptions()
            options.requiresSafeRoot = attack.safeRoot
            let refused = await failure { _ = try await unpack(builder, options, resolution: resolution) }
            // Under the map only root exists: an owner outside of it is refused for that reason.
            let codes = attack.name == "owner that means none" ? [.unsafe, .invalidArgument] : [attack.code]
            #expect(refused.map { codes.contains($0.code) } == true, "\(String(describing: refused))")
            #expect(try scratch.shell("ls -A") == "archive\nvictim")
        }
        if !attack.safeRoot {
            let examined = await failure { _ = try await TreeCopy.examine(TarArchive(scratch("archive"))) }
            #expect(examined?.code == attack.code, "\(String(describing: examined))")
        }
        #expect(try scratch.shell("stat -c '%n %i %a %s %Y %h' victim victim/file") == before)
    }

    @Test(arguments: PathResolution.allCases)
    func replacedEntriesNeverLeadOut(resolution: PathResolution) async throws {
        var builder = TreeTarBuilder()
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

    @Test(.enabled(if: TarHostile.isRoot, "needs root: the digest counts owners"))
    func replacedTreesHaveTheDigestOfWhatIsLeft() async throws {
        var builder = TreeTarBuilder()
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
        var builder = TreeTarBuilder()
        for name in ["usr/sbin", "usr/bin", "dev", "proc", "sys", "run", "etc"] {
            builder.add(name, type: "5", mode: 0o755)
        }
        builder.add("sbin", type: "2", link: "usr/local/../sbin")
        builder.add("usr/local", type: "5", mode: 0o755)
        var options = TreeCopyOptions()
        options.requiresSafeRoot = true
        #expect(try await unpack(builder, options).counts.symbolicLinks == 1)
    }

    @Test func dataOfWhatHasNoneIsPassedOver() async throws {
        var builder = TreeTarBuilder()
        builder.add("f", data: [1])
        builder.add("with data", type: "1", link: "f", data: [UInt8](repeating: 7, count: 700))
        builder.add("without data", type: "1", size: 4096, link: "f")
        builder.add("directory", type: "5", size: 4096)
        builder.add("last", type: "2", size: 4096, link: "f")
        let summary = try await TreeCopy.examine(TarArchive(scratch.write(builder.finished(), to: "archive")))
        #expect(summary.counts.hardLinks == 2)
        #expect(summary.counts.directories == 2)
        #expect(summary.counts.symbolicLinks == 1)
    }

    @Test func bombsHitTheRatio() async throws {
        try scratch.shell("truncate -s 200M zeros; tar -cf - zeros | xz > xz; tar -cf - zeros | bzip2 > bzip2")
        for name in ["xz", "bzip2"] {
            let refused = await failure { _ = try await TreeCopy.examine(TarArchive(scratch(name))) }
            #expect(refused?.code == .limitExceeded, "\(name)")
        }
        try scratch.shell("tar -cf - zeros | gzip > gzip")
        var options = TreeCopyOptions()
        options.limits.expansionRatio = 500
        let refused = await failure { _ = try await TreeCopy.examine(TarArchive(scratch("gzip")), options: options) }
        #expect(refused?.code == .limitExceeded)
        options.limits.expansionRatio = 2_000
        #expect(try await TreeCopy.examine(TarArchive(scratch("gzip")), options: options).counts.files == 1)
    }
}
