// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import Glibc
import LXCCore
import LinuxSystem
import TarArchive
import TestSupport
import Testing

/// What is on disk afterwards is what was asked for, or a loss with a name.
@Suite(.tags(.host), .limited, .host(.root), .serialized)
struct FaithfulCopyTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func copy(
        _ origin: any TreeOrigin, to destination: String, _ change: (inout TreeCopyOptions) -> Void = { _ in }
    ) async throws -> TreeSummary {
        var options = TreeCopyOptions()
        change(&options)
        return try await TreeCopy.run(from: origin, to: LocalTree(destination), options: options)
    }

    private func number(_ error: LXCError?) -> CInt? { (error?.cause as? SystemCallError)?.errno }

    private static let map = try? IDMap(host: 200_000, count: 65_536)

    // MARK: Attributes

    @Test(arguments: LoopFileSystem.Kind.allCases) func aFullDiskIsNoLoss(kind: LoopFileSystem.Kind) async throws {
        let full = try LoopFileSystem(kind, megabytes: kind == .ext4 ? 24 : kind == .btrfs ? 120 : 300)
        var tar = TarBuilder()
        for index in 0..<3_000 {
            let value = Array(String(repeating: "\(index) ", count: 300).utf8.prefix(1_400))
            tar.addPax([("SCHILY.xattr.user.x", value), ("SCHILY.xattr.user.y", value + value)])
            tar.add("f\(index)")
        }
        let archive = TarArchive(try scratch.write(tar.finished(), to: "archive"))
        try full.shell("mkdir keep; fallocate -l $(($(stat -f -c '%a*%S' .) - (2 << 20))) keep/filler; sync -f .")
        if kind == .btrfs {
            // Attributes are in the metadata there, of which a full disk has a rest.
            _ = try? full.shell("cd keep; yes | split -a 5 -b 1500 - s 2>/dev/null; sync -f .")
        }
        let failure = await error { _ = try await copy(archive, to: full("copy")) }
        #expect(number(failure) == ENOSPC, "\(String(describing: failure))")
        #expect(try full.list() == "keep")
    }

    @Test func whatIsTooLargeForTheFileSystemIsALoss() async throws {
        let disk = try LoopFileSystem(.ext4, megabytes: 24)
        var tar = TarBuilder()
        tar.addPax([("SCHILY.xattr.user.big", [UInt8](repeating: 1, count: 9_000))])
        tar.add("f")
        let archive = TarArchive(try scratch.write(tar.finished(), to: "archive"))
        #expect(try await copy(archive, to: disk("copy")).losses.kinds["xattr:user.big"]?.paths == ["f"])
        await expect(.lossRefused) { try await copy(archive, to: disk("no")) { $0.lossless = true } }
    }

    @Test func moreNamesThanTheKernelListsEndNoCopy() async throws {
        let disk = try LoopFileSystem(.btrfs, megabytes: 120)
        try disk.shell(
            """
            mkdir source; cp /bin/true source/f; setcap cap_net_raw+ep source/f; echo x > source/other
            python3 -c 'import os
            for i in range(300): os.setxattr("source/f", "user.%03d" % i + "x" * 240, b"")'
            """)
        for isWalk in [true, false] {
            let origin: any TreeOrigin = isWalk ? LocalTree(disk("source")) : EntryByEntry(LocalTree(disk("source")))
            let summary = try await copy(origin, to: disk("copy\(isWalk)"))
            #expect(summary.losses.kinds["xattr:*"]?.paths == ["f"])
            #expect(try disk.shell("getcap copy\(isWalk)/f; cat copy\(isWalk)/other").contains("cap_net_raw"))
        }
    }

    // MARK: Times

    @Test func aTimeOutOfTheFileSystemsRangeIsALoss() async throws {
        let disk = try LoopFileSystem(.ext4, megabytes: 24)
        var tar = TarBuilder()
        for (name, time) in [("far", "99999999999"), ("early", "-99999999999"), ("near", "2147483648.123456789")] {
            tar.addPax(["mtime": time])
            tar.add(name)
            tar.addPax(["mtime": time])
            tar.add("\(name)-link", type: "2", link: "x")
            tar.addPax(["mtime": time])
            tar.add("\(name)-directory/", type: "5")
        }
        let archive = TarArchive(try scratch.write(tar.finished(), to: "archive"))
        let lost = try await copy(archive, to: disk("copy")).losses.kinds
        #expect(lost.keys.sorted() == ["time"])
        #expect(
            lost["time"]?.paths.sorted() == [
                "early", "early-directory", "early-link", "far", "far-directory", "far-link",
            ])
        await expect(.lossRefused) { try await copy(archive, to: disk("no")) { $0.lossless = true } }
    }

    @Test func aTimeFinerThanTheFileSystemsIsALoss() async throws {
        let disk = try LoopFileSystem(.ext4, megabytes: 24, options: "-I 128")
        try scratch.shell(
            "mkdir source; : > source/whole; : > source/fine; touch -d '2001-01-01 01:01:01' source/whole source")
        let lost = try await copy(scratch.tree("source"), to: disk("copy")).losses.kinds
        #expect(lost["time"]?.paths == ["fine"])
    }

    // MARK: btrfs

    @Test func oneFileThatIsNotCopiedOnWriteEndsNoSharing() async throws {
        let disk = try LoopFileSystem(.btrfs, megabytes: 200)
        try disk.shell(
            """
            mkdir source; cd source; : > 0; chattr +C 0; head -c 100000 /dev/urandom > 0
            for i in $(seq 20); do head -c 1M /dev/urandom > f$i; done; sync -f .
            """)
        for name in ["auto", "reflink"] {
            let summary = try await copy(LocalTree(disk("source")), to: disk(name)) {
                $0.strategy = name == "auto" ? .auto : .reflink
                $0.threads = 1
            }
            #expect(summary.strategy == "reflink")
            #expect(try disk.shell("filefrag -v \(name)/* | grep -c shared") == "21")
            #expect(try await TreeCopy.examine(LocalTree(disk(name))).digest == summary.digest)
        }
    }

    @Test func aSnapshotIsNoneOfWhatIsMountedInside() async throws {
        let disk = try LoopFileSystem(.btrfs, megabytes: 120)
        try disk.shell(
            "btrfs -q subvolume create source; mkdir -p 'source/a b/m'; echo u > 'source/a b/m/under'; mount -t tmpfs none 'source/a b/m'"
        )
        defer { _ = try? disk.shell("umount 'source/a b/m'") }
        let source = LocalTree(disk("source"))
        for strategy in TreeCopyOptions.Strategy.allCases {
            let code = await codeThrown {
                try await copy(source, to: disk("copy")) {
                    $0.strategy = strategy
                    $0.computesDigest = false
                }
            }
            #expect(code == (strategy == .snapshot ? .unsupported : .unsafe))
        }
        #expect(try disk.list() == "source")
    }

    @Test func ownersOfASnapshotChangeNothingElse() async throws {
        let disk = try LoopFileSystem(.btrfs, megabytes: 120)
        try disk.shell(
            """
            btrfs -q subvolume create source; cd source; mkfifo -m 666 p; chmod u+s p; mknod c c 1 3; chmod 2755 c
            echo x > i; chattr +i i; mkdir d; echo x > d/a; chattr +a d/a; chattr +i d; cp /bin/true s; chmod 4755 s
            """)
        defer { _ = try? disk.shell("cd source; chattr -i i d; chattr -a d/a") }
        let snapshot = try await copy(LocalTree(disk("source")), to: disk("snapshot")) { $0.destinationMap = Self.map }
        #expect(snapshot.strategy == "snapshot")
        let other = try await copy(LocalTree(disk("source")), to: disk("copy")) {
            $0.destinationMap = Self.map
            $0.strategy = .copy
        }
        #expect(other.digest == snapshot.digest)
        let described = { (name: String) in
            try disk.shell("cd \(name); find . -printf '%P %m %U %G %T@\\n' | sort; lsattr -d i d d/a | cut -c 1-20")
        }
        #expect(try described("snapshot") == described("copy"))
        #expect(try disk.shell("stat -c %a snapshot/p snapshot/c snapshot/s") == "4666\n2755\n4755")
    }

    // MARK: Trees in use

    @Test(arguments: [true, false]) func theDigestIsThatOfTheClone(growing: Bool) async throws {
        // Room for every copy with nothing left that it shares: how much changes meanwhile depends on the host's load.
        let disk = try LoopFileSystem(.xfs, megabytes: 600)
        try disk.shell("mkdir source; for i in $(seq 8); do head -c 4M /dev/urandom > source/$i; done; sync -f .")
        let source = disk("source")
        let changer = Changer {
            var random = SeededRandom(seed: 1)
            return {
                let file = open("\(source)/\(Int.random(in: 1...8, using: &random))", O_RDWR | O_CLOEXEC)
                let text = "\(UInt64.random(in: 0 ... .max, using: &random))"
                let offset = growing ? 4 << 20 : Int.random(in: 0...(4 << 20) - 32, using: &random)
                _ = text.utf8.withContiguousStorageIfAvailable { pwrite(file, $0.baseAddress, $0.count, off_t(offset)) }
                close(file)
            }
        }
        defer { changer.stop() }
        for index in 0..<8 {
            let summary = try await copy(LocalTree(source), to: disk("copy\(index)")) { $0.strategy = .reflink }
            #expect(try await TreeCopy.examine(LocalTree(disk("copy\(index)"))).digest == summary.digest)
        }
    }

    @Test(arguments: [true, false]) func aLeaseOnAFileIsWaitedFor(isWalk: Bool) async throws {
        try scratch.shell("mkdir source; echo x > source/f; echo y > source/g")
        signal(SIGIO, SIG_IGN)
        let file = open(scratch("source/f"), O_RDWR | O_CLOEXEC)
        let setLease = CInt(1024)
        #expect(fcntl(file, setLease, F_WRLCK) == 0)
        let release = Task {
            try await Task.sleep(for: .milliseconds(500))
            _ = fcntl(file, setLease, F_UNLCK)
            close(file)
        }
        let origin: any TreeOrigin = isWalk ? scratch.tree("source") : EntryByEntry(scratch.tree("source"))
        let summary = try await copy(origin, to: scratch("copy"))
        try await release.value
        #expect(summary.losses.isEmpty)
        #expect(try scratch.shell("cat copy/f copy/g") == "x\ny")
    }

    /// Files become links and directories come and go, as they do while packages are installed: what went is counted, and
    /// nothing ends the copy.
    @Test(arguments: [true, false]) func whatGoesAwayEndsNoCopy(isWalk: Bool) async throws {
        try scratch.shell("mkdir -p source/{1..40}; cd source; seq 3000 | sed 's/^/f/' | xargs touch")
        let source = scratch("source")
        let changer = Changer {
            var random = SeededRandom(seed: 3)
            return {
                let directory = "\(source)/\(Int.random(in: 1...40, using: &random))/d"
                if mkdir(directory, 0o755) != 0 { rmdir(directory) }
                let file = "\(source)/f\(Int.random(in: 1...3_000, using: &random))"
                if symlink("x", "\(source)/new") == 0 { rename("\(source)/new", file) }
                write("x", to: "\(source)/new")
                rename("\(source)/new", "\(source)/f\(Int.random(in: 1...3_000, using: &random))")
            }
        }
        defer { changer.stop() }
        for index in 0..<8 {
            let origin: any TreeOrigin = isWalk ? scratch.tree("source") : EntryByEntry(scratch.tree("source"))
            let summary = try await copy(origin, to: scratch("copy\(index)")) { $0.durable = false }
            #expect(Set(summary.losses.kinds.keys).isSubset(of: ["vanished"]))
        }
    }

    @Test func aCopyThatIsCancelledAtItsEndIsNotPublished() async throws {
        let opening = TreeOpening()
        let sink = try scratch.tree("copy").openForWriting(opening)
        for path in ["d", "d/e"] {
            try sink.begin(TreeEntry(path: try TreePath(path), kind: .directory, mode: 0o700), isNew: true)
            try sink.end()
        }
        opening.cancellation.cancel()
        #expect(throws: CancellationError.self) { try sink.finish() }
        sink.abandon()
        #expect(try scratch.shell("ls -A") == "")
    }
}

/// A directory read as archives are made of one: entry by entry, by one thread.
private struct EntryByEntry: TreeOrigin {
    let tree: LocalTree

    init(_ tree: LocalTree) { self.tree = tree }

    var description: String { tree.description }

    func openForReading(_ opening: TreeOpening) throws -> any TreeSource { try tree.openForReading(opening) }
}
