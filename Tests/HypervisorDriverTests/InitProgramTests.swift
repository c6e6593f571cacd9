// SPDX-License-Identifier: Apache-2.0

import Foundation
import LibvirtXML
import Testing

@testable import HypervisorDriver

/// Why a program below a container's root cannot be its process 1.
@Suite struct InitProgramTests {
    private func fault(_ contents: [UInt8]?, mode: Int = 0o755, link: String? = nil) throws -> String? {
        let root = FileManager.default.temporaryDirectory.appending(path: "init-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: root) }
        let file = root.appending(path: "init")
        if let contents {
            try Data(contents).write(to: file)
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file.path)
        }
        if let link { try FileManager.default.createSymbolicLink(atPath: file.path, withDestinationPath: link) }
        var domain = Domain(type: .lxc, name: "odd", os: .container(initPath: "/init"))
        domain.filesystems = [Filesystem(.mount(root.path), target: "/")]
        return try #require(InitProgram(of: domain)).fault()
    }

    @Test func whatCannotBeExecutedIsTold() throws {
        var own = try [UInt8](
            FileHandle(forReadingFrom: URL(filePath: "/proc/self/exe")).read(upToCount: 65536) ?? Data())
        #expect(try #require(try fault(own)).contains("the loader it names"))
        own[18] = own[18] == 183 ? 62 : 183
        #expect(try #require(try fault(own)).contains("another processor"))
        #expect(try #require(try fault(nil)).contains("there is no program /init"))
        #expect(try #require(try fault(nil, link: "init")).contains("there is no program /init"))
        // A link stays below the root.
        #expect(try #require(try fault(nil, link: "/bin/sh")).contains("there is no program /init"))
        let script = Array("#! /no/such -x\n".utf8)
        #expect(try #require(try fault(script)).contains("the interpreter it names, /no/such,"))
        #expect(try #require(try fault(script, mode: 0o644)).contains("mode"))
        #expect(try #require(try fault(Array("#!\n".utf8))).contains("names no interpreter"))
        #expect(try #require(try fault(Array("hello\n".utf8))).contains("neither a program nor a script"))
        #expect(try #require(try fault([])).contains("neither a program nor a script"))
        #expect(try fault(Array("#!/init\n".utf8)) == nil)
    }

    @Test(arguments: [20, 64, 100, 500]) func aHeaderThatIsCutIsJudged(_ length: Int) throws {
        var own = try [UInt8](
            FileHandle(forReadingFrom: URL(filePath: "/proc/self/exe")).read(upToCount: length) ?? Data())
        _ = try fault(own)
        // A table far outside, and entries without end.
        for index in own.indices where index >= 28 { own[index] = 0xff }
        _ = try fault(own)
    }
}
