// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import TestSupport
import Testing

@Suite(.tags(.host), .limited, .host(.root))
struct TreeDigestTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func digest(_ name: String) async throws -> TreeDigest? {
        try await TreeCopy.examine(scratch.tree(name)).digest
    }

    @Test(arguments: [
        "printf hellp > plain; touch -d '2001-02-03 04:05:06.123456789' plain", "chmod 0641 plain", "chown 1001 plain",
        "chgrp 1000 plain", "touch -d '2001-02-03 04:05:06.123456788' plain", "touch -d @0 .", "chmod 0700 .",
        "rm second; touch -r . .", "ln linked fourth", "rm second; cp -a linked second", "rm dangling", "rmdir sticky",
        "mv .hidden .hiddem", "ln -sfn /etc/passwe absolute", "setfattr -n user.note -v 'b value' attributes",
        "setfattr -x user.empty attributes", "setfacl -m u:5:rw acl", "setcap cap_net_raw+eip capable",
        "rm char; mknod -m 0666 char c 1 4", "rm fifo", "truncate -s 5242881 sparse", "setfacl -k zdir",
        "printf X | dd of=sparse bs=1 seek=100 conv=notrunc status=none",
    ])
    func anyDifferenceChangesTheDigest(change: String) async throws {
        try TreeFixture.make("source", in: scratch)
        // The time of the directory and of the file changed are put back, so that the change itself has to be seen.
        try scratch.shell("cp -a source changed; cd changed; touch -r . ../stamp")
        #expect(try await digest("source") == digest("changed"))
        try scratch.shell("cd changed; find . -printf '%T@ %p\\\\0' > ../times; \(change)")
        if !change.contains("touch") {
            try scratch.shell(
                """
                cd changed; while IFS= read -r -d '' line; do
                    file="${line#* }"; [ -e "$file" ] && touch -h -d "@${line%% *}" -- "$file" || true
                done < ../times
                """)
        }
        #expect(try await digest("source") != digest("changed"))
    }

    @Test func holesAndZerosAreTheSame() async throws {
        try scratch.shell(
            """
            mkdir a b; head -c 300000 /dev/zero > a/f; truncate -s 300000 b/f
            printf x | tee >(dd of=a/f bs=1 seek=200000 conv=notrunc status=none) \\
                | dd of=b/f bs=1 seek=200000 conv=notrunc status=none; sync a b
            touch -d @1 a/f b/f a b
            """)
        #expect(try await digest("a") == digest("b"))
    }

    @Test func orderAndInodeOfLinksDoNotCount() async throws {
        try scratch.shell(
            """
            mkdir a b; printf x > a/1; ln a/1 a/2; ln a/1 a/3; printf y > a/4
            printf y > b/4; printf x > b/3; ln b/3 b/2; ln b/3 b/1; touch -d @1 a/* b/* a b
            """)
        #expect(try await digest("a") == digest("b"))
    }

    @Test func minimalACLIsNoACL() async throws {
        try scratch.shell("mkdir a b; printf x > a/f; printf x > b/f; setfacl -m u:5:r b/f; setfacl -b b/f")
        try scratch.shell("touch -d @1 a/f b/f a b")
        #expect(try await digest("a") == digest("b"))
    }

    @Test func definitionIsTheDocumentedOne() async throws {
        // An empty directory: the version line, the hash of the empty path, the hash of its record, put together by
        // other tools than ours.
        try scratch.shell("mkdir -m 0755 a; chown 0:0 a; touch -d @1 a")
        let expected = try scratch.shell(
            """
            record=$(printf 'd\\001\\355\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\001\\0\\0\\0\\0\\0\\0\\0\\0' | sha256sum | cut -c 1-64)
            name=$(printf '' | sha256sum | cut -c 1-64)
            { printf 'lxc-tree-digest 1\\n'; printf "$name$record" | sed 's/../\\\\x&/g' | xargs -0 printf; } | sha256sum | cut -c 1-64
            """)
        #expect(try await digest("a")?.description == expected)
    }

    @Test func mappedCloneHasTheSameDigest() async throws {
        try TreeFixture.make("source", in: scratch)
        let map = try IDMap(host: 100_000, count: 65_536)
        var there = TreeCopyOptions()
        there.destinationMap = map
        let summary = try await TreeCopy.run(from: scratch.tree("source"), to: scratch.tree("mapped"), options: there)
        #expect(
            try scratch.shell("stat -c '%u:%g' mapped mapped/plain mapped/fifo")
                == "100000:100000\n101000:101001\n100009:100009")
        #expect(try scratch.shell("getcap -n mapped/capable").contains("[rootid=100000]"))
        #expect(try scratch.shell("getfacl -nc mapped/acl").contains("user:100005:r--\n"))
        #expect(try scratch.shell("stat -c %a mapped/empty mapped/setgid") == "4755\n2711")
        var back = TreeCopyOptions()
        back.sourceMap = map
        let returned = try await TreeCopy.run(from: scratch.tree("mapped"), to: scratch.tree("back"), options: back)
        #expect(summary.digest == returned.digest)
        #expect(summary.digest == (try await digest("source")))
        #expect(try TreeFixture.describe("source", in: scratch) == TreeFixture.describe("back", in: scratch))
        #expect(summary.digest != (try await digest("mapped")))
    }

    @Test func idOutsideTheMapIsNamed() async throws {
        try scratch.shell("mkdir source; : > source/file; chown 70000:0 source/file")
        var options = TreeCopyOptions()
        options.destinationMap = try IDMap(host: 100_000, count: 65_536)
        let refused = await expect(.invalidArgument) {
            _ = try await TreeCopy.run(from: self.scratch.tree("source"), to: self.scratch.tree("c"), options: options)
        }
        #expect(refused?.message.contains("file") == true && refused?.message.contains("70000") == true)
        #expect(try scratch.shell("ls -A") == "source")
    }
}
