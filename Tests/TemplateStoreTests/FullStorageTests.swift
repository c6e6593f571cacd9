// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import TemplateStore
import TestSupport
import Testing

/// Secondary storage on a file system in which nothing can be made any more.
@Suite(.tags(.host), .limited, .host(.root), .serialized)
struct FullStorageTests {
    @Test(arguments: [false, true]) func aTemplateCanBeDeleted(hasInodes: Bool) async throws {
        let full = try LoopFileSystem(.ext4, megabytes: 16, options: hasInodes ? "" : "-N 512")
        let fixture = try Fixture()
        let storage = LocalSecondaryStorage(path: full.path)
        let key = TemplateKey(account: 1, id: 1)
        _ = try await storage.register(
            TemplateRegistration(key: key, name: "full", source: fixture.tar), progress: nil)
        try full.shell(
            """
            mkdir fill; \(hasInodes ? "dd if=/dev/zero of=fill/0 bs=512 status=none 2>/dev/null || true" : "")
            sync -f .; i=1; while (: > fill/$i) 2>/dev/null; do i=$((i + 1)); done
            """)
        try await storage.delete(key)
        #expect(try await storage.list().templates.isEmpty)
        #expect(try full.shell("ls -A template/tmpl/1") == "")
    }
}
