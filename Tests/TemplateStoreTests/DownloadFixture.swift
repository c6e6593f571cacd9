// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import TemplateStore
import TestSupport
import Testing

/// An archive of some size, servers that offer it, and a storage to register it in.
struct DownloadFixture {
    let storage: Fixture
    let archive: [UInt8]

    init() throws {
        storage = try Fixture()
        // Enough that it comes in several pieces, and does not compress.
        var random = SeededRandom(seed: 4)
        let noise = (0..<600_000).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        try storage.directory.write(noise, to: "root/noise")
        try Command.run(
            "/bin/tar", "-C", storage.directory["root"], "--owner=0", "--group=0", "-czf", storage.directory["archive"],
            ".")
        archive = try storage.directory.read("archive")
    }

    func registration(_ server: WebServer, _ path: String = "/root.tar.gz") -> TemplateRegistration {
        var registration = storage.registration(server.url(path))
        registration.download.allowsPrivateAddresses = true
        registration.download.retryDelay = .milliseconds(1)
        return registration
    }

    func checksum() throws -> Checksum {
        try Checksum(parsing: "{SHA-256}" + storage.checksum("sha256sum", of: storage.directory["archive"]))
    }

    /// A server of the archive whose first answers end early, after the bytes named.
    func failing(
        after cuts: [Int], _ change: @escaping @Sendable (inout WebServer.File, Int) -> Void = { _, _ in }
    ) throws -> WebServer {
        let archive = archive
        return try WebServer { request, number in
            var file = WebServer.File(archive)
            change(&file, number)
            var answer = file.answer(request)
            if number < cuts.count { answer.cutAfter = cuts[number] }
            return answer
        }
    }

    /// Nothing is left on the storage.
    func expectNothing(_ location: SourceLocation = #_sourceLocation) {
        #expect(storage.files.isEmpty, sourceLocation: location)
        #expect(storage.directory.list("secondary/template/tmpl/1").isEmpty, sourceLocation: location)
    }
}
