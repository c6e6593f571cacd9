// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LXCCore
import TemplateStore
import TestSupport
import Testing

/// Archives that are no root file system, or look unlike one.
@Suite(.limited) struct RootLayoutTests {
    private let fixture: Fixture

    init() throws { fixture = try Fixture() }

    /// Registers a tar of files, empty but for links written `name -> target`.
    private func register(_ names: [String]) async throws -> Template {
        for name in names {
            let parts = name.components(separatedBy: " -> ")
            if parts.count == 1 {
                try fixture.directory.write("x", to: "layout/\(name)")
            } else {
                let above = parts[0].split(separator: "/").dropLast().joined(separator: "/")
                try fixture.directory.makeDirectory("layout/\(above)")
                try FileManager.default.createSymbolicLink(
                    atPath: fixture.directory["layout/\(parts[0])"], withDestinationPath: parts[1])
            }
        }
        try Command.run(
            "/bin/tar", "-C", fixture.directory["layout"], "--owner=0", "--group=0", "-cf",
            fixture.directory["layout.tar"],
            ".")
        return try await fixture.store.register(fixture.registration(fixture.directory["layout.tar"]), progress: nil)
    }

    @Test(arguments: [
        ["sbin/init", "etc/passwd"], ["sbin -> usr/sbin", "usr/sbin/init"], ["sbin/init -> ../lib/systemd/systemd"],
        ["sbin -> usr/sbin", "usr/sbin -> bin", "usr/bin/init -> /lib/systemd/systemd"], ["sbin -> bin", "bin/init"],
        ["sbin -> nix/store/x", "nix/store/x/init"],
    ])
    func aRootWithAnInitIsTakenWithoutAWord(_ names: [String]) async throws {
        #expect(try await register(names).warnings.isEmpty)
    }

    @Test(arguments: [
        (["bin/sh", "etc/passwd"], TemplateWarning.Kind.noInit),
        (["sbin -> usr/sbin", "usr/sbin/x", "usr/bin/init"], .noInit),
        (["sbin -> bin", "bin/sh", "usr/sbin/init"], .noInit), (["app"], .noInit),
        (["debian/bin/sh", "debian/etc/passwd"], .oneDirectory), (["debian/sbin/init", "debian/usr/x"], .oneDirectory),
        (["metadata.yaml", "rootfs/bin/sh", "rootfs/etc/passwd", "templates/x"], .rootInside),
        (["rootfs/sbin/init", "rootfs/etc/passwd"], .rootInside),
    ])
    func whatDoesNotLookLikeARootIsSaid(_ names: [String], _ kind: TemplateWarning.Kind) async throws {
        let template = try await register(names)
        #expect(template.warnings.map(\.kind) == [kind])
        // It is kept with the template.
        #expect(try await fixture.store.template(fixture.key) == template)
        #expect(try await fixture.store.list().templates == [template])
        try await fixture.store.verify(fixture.key, progress: nil)
    }

    @Test(arguments: [
        ["oci-layout", "index.json", "blobs/sha256/1234"], ["manifest.json", "0123abcd/layer.tar", "0123abcd/json"],
        ["manifest.json", "repositories", "x.json"],
        ["manifest.json", "blobs/sha256/1234", "oci-layout", "index.json"],
    ])
    func archivesOfLayersAreRefused(_ names: [String]) async throws {
        let error = await expect(.unsupported) { try await register(names) }
        #expect(error?.message.contains("umoci unpack") == true)
        #expect(fixture.files.isEmpty)
    }

    /// Errors name what was given, not a copy of it.
    @Test func errorsNameTheSource() async throws {
        let whole = try fixture.directory.read("plain")
        let foreign = Array("hsqs".utf8) + [UInt8](repeating: 0xAA, count: 4_096)
        for bytes in [
            Array(whole.prefix(1_500)), foreign, Array("<html>".utf8), [], Array(whole.prefix(700)),
        ] {
            try fixture.directory.write(bytes, to: "given")
            let server = try WebServer(WebServer.File(bytes))
            for source in [fixture.directory["given"], server.url("/given?token=s3cr3t")] {
                var registration = fixture.registration(source)
                registration.download.allowsPrivateAddresses = true
                let asked = registration
                let error = await #expect(throws: LXCError.self) {
                    try await fixture.store.register(asked, progress: nil)
                }
                #expect(error?.message.contains("given") == true, "\(error?.message ?? "")")
                #expect(error?.message.contains("template/tmpl") == false, "\(error?.message ?? "")")
                #expect(error?.message.contains("s3cr3t") == false, "\(error?.message ?? "")")
            }
        }
    }
}
