// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LXCCore
import TarArchive
import TemplateStore
import TestSupport
import Testing

/// What registering puts on secondary storage, and what it refuses.
@Suite(.limited)
struct RegistrationTests {
    private let fixture: Fixture

    init() throws { fixture = try Fixture() }

    // MARK: Layout

    @Test func theLayoutIsCloudStacks() async throws {
        let template = try await fixture.store.register(fixture.registration(), progress: nil)
        #expect(fixture.names == [template.fileName, "template.properties"].sorted())
        let name = try #require(UUID(uuidString: String(template.fileName.dropLast(4))))
        #expect(template.fileName == name.uuidString.lowercased() + ".tar")
        // Java's name-based UUIDs have version 3.
        #expect(name.uuid.6 >> 4 == 3)
        #expect(name.uuid.8 >> 6 == 2)
        let tar = try fixture.directory.read("secondary/template/tmpl/1/10/\(template.fileName)")
        #expect(tar == (try fixture.directory.read("plain")))
        #expect(template.size.bytes == UInt64(tar.count))
    }

    @Test func thePropertiesHaveEveryKeyCloudStackNeeds() async throws {
        var registration = fixture.registration(try fixture.compressed(by: "gzip"))
        let md5 = try fixture.checksum("md5sum", of: registration.source.revealed)
        registration.checksum = try Checksum(parsing: md5)
        registration.summary = "Debian: minimal ü"
        let template = try await fixture.store.register(registration, progress: nil)
        let size = try fixture.directory.read("plain").count
        let text = String(
            decoding: try fixture.directory.read("secondary/template/tmpl/1/10/template.properties"), as: UTF8.self)
        let registrationID = text.split(separator: "lxc.registration=").last.map { $0.prefix(64) } ?? ""
        #expect(registrationID.count == 64 && registrationID.allSatisfy(\.isHexDigit))
        #expect(
            text == """
                filename=\(template.fileName)
                id=10
                public=true
                uniquename=201-2-debian
                description=Debian\\: minimal \\u00FC
                checksum={MD5}\(md5)
                hvm=false
                size=\(size)
                virtualsize=\(size)
                tar=true
                tar.filename=\(template.fileName)
                tar.size=\(size)
                tar.virtualsize=\(size)
                lxc.tree.digest=\(template.digest?.description ?? "")
                lxc.tar.checksum={SHA-256}\(try fixture.checksum("sha256sum", of: fixture.tar))
                lxc.registration=\(registrationID)

                """)
    }

    // MARK: Compression, by content

    private static let programs = ["cat", "gzip", "bzip2", "xz", "zstd", "lz4"].filter { program in
        ["/bin", "/usr/bin"].contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(program)") }
    }

    @Test(arguments: programs)
    func compressionIsTakenAway(_ program: String) async throws {
        let source = try program == "cat" ? fixture.tar : fixture.compressed(by: program)
        let template = try await fixture.store.register(fixture.registration(source), progress: nil)
        let stored = try fixture.directory.read("secondary/template/tmpl/1/10/\(template.fileName)")
        #expect(stored == (try fixture.directory.read("plain")))
        let digest = try await TreeCopy.examine(TarArchive(fixture.tar)).digest
        #expect(template.digest == digest)
    }

    // MARK: Checksums

    @Test(arguments: [
        ("md5sum", "{MD5}"), ("md5sum", ""), ("md5sum", "{md5}"), ("sha1sum", "{SHA-1}"), ("sha256sum", "{SHA-256}"),
        ("sha384sum", "{SHA-384}"), ("sha512sum", "{SHA-512}"), ("sha512sum", "{SHA512}"),
    ])
    func checksumsAreOfTheFileAsItIs(_ program: String, _ prefix: String) async throws {
        let source = try fixture.compressed(by: "gzip")
        let digits = try fixture.checksum(program, of: source)
        var registration = fixture.registration(source)
        registration.checksum = try Checksum(parsing: prefix + digits)
        _ = try await fixture.store.register(registration, progress: nil)
        try await fixture.store.delete(fixture.key)

        let wrong = String(digits.dropLast()) + (digits.hasSuffix("0") ? "1" : "0")
        registration.checksum = try Checksum(parsing: prefix + wrong)
        let error = await failure(registration)
        #expect(error?.code == .corrupt)
        #expect(error?.message.contains(digits) == true && error?.message.contains(wrong) == true)
        #expect(fixture.files.isEmpty)
    }

    @Test(arguments: [
        "", "{MD5}", "{MD5", "MD5}00112233445566778899aabbccddeeff", "00112233445566778899aabbccddeef",
        "00112233445566778899aabbccddeeff0", "0011223344556677889gaabbccddeeff",
        "{SHA-256}00112233445566778899aabbccddeeff",
        "{SHA-3}00112233445566778899aabbccddeeff", "{}00112233445566778899aabbccddeeff",
        // 32 bytes of UTF-8, some of them digits of another script.
        "１１１１１１１１１１00", " 0112233445566778899aabbccddeeff",
    ])
    func otherChecksumsAreRefused(_ text: String) {
        expect(.invalidArgument) { try Checksum(parsing: text) }
    }

    @Test func checksumsAreReadInAnyCase() throws {
        let checksum = try Checksum(parsing: "00112233445566778899AABBCCDDEEFF")
        #expect(checksum.description == "{MD5}00112233445566778899aabbccddeeff")
        #expect(try Checksum(parsing: checksum.description) == checksum)
    }

    // MARK: Sources

    @Test func aFileURLIsItsPath() async throws {
        try fixture.directory.write(fixture.directory.read("plain"), to: "with space ü%.tar")
        let path = fixture.directory["with%20space%20%C3%BC%25.tar"]
        for prefix in ["file://", "FILE://localhost"] {
            _ = try await fixture.store.register(fixture.registration(prefix + path), progress: nil)
            try await fixture.store.delete(fixture.key)
        }
    }

    @Test(arguments: [
        ("file://elsewhere/archive.tar", LXCError.Code.invalidArgument), ("file:///", .invalidArgument),
        ("file://", .invalidArgument), ("file:///a%0", .invalidArgument), ("file:///a%00b", .invalidArgument),
        ("file:///a%FF", .invalidArgument), ("", .invalidArgument), ("a\0b", .invalidArgument),
        ("http://", .invalidArgument), ("https://user:secret@", .invalidArgument),
        ("http://host:99999/", .invalidArgument), ("ftp://host/archive.tar", .unsupported),
        ("nfs://host", .invalidArgument), ("javascript://host", .unsupported), ("file:///missing", .notFound),
        ("not/there://host", .notFound),
    ])
    func otherSourcesAreRefused(_ source: String, _ code: LXCError.Code) async throws {
        let error = await failure(fixture.registration(source))
        #expect(error?.code == code, "\(error?.description ?? "")")
        #expect(error?.description.contains("secret") == false)
        #expect(fixture.files.isEmpty)
    }

    @Test func aFileThatChangesMeanwhileIsRefused() async throws {
        let source = try fixture.compressed(by: "gzip")
        let registration = fixture.registration(source)
        await expect(.invalidState) {
            try await fixture.store.register(registration) { _ in
                _ = try? Command.run("/usr/bin/touch", "-d", "2001-01-01", source)
            }
        }
        #expect(fixture.files.isEmpty)
    }

    @Test func compressedTwiceIsNoPlainTar() async throws {
        try Command.run(
            "/bin/sh", "-c", "gzip -c < '\(fixture.tar)' | gzip -c > '\(fixture.directory["compressed"])'")
        let error = await failure(fixture.registration(fixture.directory["compressed"]))
        #expect(error?.code == .unsupported)
        #expect(fixture.files.isEmpty)
    }

    @Test func whatExpandsBeyondMeasureIsRefused() async throws {
        try Command.run(
            "/bin/sh", "-c", "head -c 200M /dev/zero | bzip2 -c > '\(fixture.directory["compressed"])'")
        let error = await failure(fixture.registration(fixture.directory["compressed"]))
        #expect(error?.code == .limitExceeded)
        #expect(fixture.files.isEmpty)
    }

    // MARK: Refusals leave nothing

    private func failure(_ registration: TemplateRegistration) async -> LXCError? {
        await #expect(throws: LXCError.self) { try await fixture.store.register(registration, progress: nil) }
    }

    @Test(arguments: programs.dropFirst())
    func truncatedArchivesAreCorrupt(_ program: String) async throws {
        _ = try fixture.compressed(by: program)
        let bytes = try fixture.directory.read("compressed")
        for count in [bytes.count / 2, bytes.count - 1] {
            try fixture.directory.write(Array(bytes.prefix(count)), to: "truncated")
            let error = await failure(fixture.registration(fixture.directory["truncated"]))
            #expect(error?.code == .corrupt, "\(count) of \(bytes.count) bytes")
            #expect(fixture.files.isEmpty)
        }
    }

    @Test func whatIsNoArchiveIsCorrupt() async throws {
        try fixture.directory.write("this is no archive, however long it may be\n", to: "text")
        try fixture.directory.write("", to: "empty")
        let tar = try fixture.directory.read("plain")
        // In the middle of a member's contents.
        let place = try #require(tar.firstRange(of: Array("box\n".utf8))?.lowerBound)
        try fixture.directory.write(Array(tar.prefix(place + 2)), to: "half")
        for name in ["text", "empty", "half"] {
            let error = await failure(fixture.registration(fixture.directory[name]))
            #expect(error?.code == .corrupt, "\(name)")
        }
        #expect(fixture.files.isEmpty)
    }

    @Test func membersThatLeaveTheRootAreUnsafe() async throws {
        let evil = fixture.directory["evil"]
        try Command.run("/bin/tar", "-C", fixture.directory["root/etc"], "-P", "-cf", evil, "../bin/busybox")
        let error = await failure(fixture.registration(evil))
        #expect(error?.code == .unsafe)
        #expect(fixture.files.isEmpty)
    }

    @Test func rootsNoContainerCanBeStartedFromAreUnsafe() async throws {
        let evil = fixture.directory["evil"]
        let root = fixture.directory["root"]
        try Command.run("/bin/sh", "-c", "cd '\(root)' && ln -s etc dev && tar -cf '\(evil)' .")
        let error = await failure(fixture.registration(evil))
        #expect(error?.code == .unsafe)
        #expect(error?.message.contains("dev") == true)
        #expect(fixture.files.isEmpty)
    }

    @Test func theMaximumSizeIsOfThePlainTar() async throws {
        var registration = fixture.registration(try fixture.compressed(by: "gzip"))
        let size = UInt64(try fixture.directory.read("plain").count)
        registration.maximumSize = ByteCount(size - 1)
        await expect(.limitExceeded) { try await fixture.store.register(registration, progress: nil) }
        #expect(fixture.files.isEmpty)
        registration.maximumSize = ByteCount(size)
        _ = try await fixture.store.register(registration, progress: nil)
    }

    @Test func missingSourcesAndNamesAreRefused() async throws {
        await expect(.notFound) {
            try await fixture.store.register(fixture.registration(fixture.directory["missing"]), progress: nil)
        }
        var nameless = fixture.registration()
        nameless.name = ""
        await expect(.invalidArgument) { try await fixture.store.register(nameless, progress: nil) }
        _ = await failure(fixture.registration(fixture.directory["root"]))
        #expect(fixture.files.isEmpty)
    }

    @Test func aTakenKeyKeepsWhatItHas() async throws {
        let template = try await fixture.store.register(fixture.registration(), progress: nil)
        let before = fixture.files
        let error = await failure(fixture.registration(try fixture.compressed(by: "gzip")))
        #expect(error?.code == .alreadyExists)
        #expect(error?.message.contains("1/10") == true)
        #expect(fixture.files == before)
        #expect(try await fixture.store.template(fixture.key) == template)
    }

    @Test func aCancelledRegistrationLeavesNothing() async throws {
        let task = Task {
            try? await Task.sleep(for: .seconds(60))
            return try await fixture.store.register(fixture.registration(), progress: nil)
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(fixture.files.isEmpty)
    }
}
