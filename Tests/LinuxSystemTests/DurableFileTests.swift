// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCCore
import LinuxSystem
import TestSupport
import Testing

@Suite(.limited)
struct DurableFileTests {
    private let directory: ScratchDirectory

    init() throws { directory = try ScratchDirectory() }

    private func mode(_ name: String) -> mode_t {
        var status = stat()
        return lstat(directory[name], &status) == 0 ? status.st_mode & 0o7777 : 0
    }

    // MARK: Writing

    @Test func writeReplacesTheWholeFileAndLeavesNothingBeside() throws {
        try DurableFile.write(Array("a long first text".utf8), to: directory["file"])
        try DurableFile.write(Array("second".utf8), to: directory["file"], mode: 0o640)
        #expect(try DurableFile.read(directory["file"]) == Array("second".utf8))
        #expect(mode("file") == 0o640)
        #expect(directory.list() == ["file"])
    }

    @Test func aFailedWriteLeavesTheOldFileAlone() throws {
        try directory.write("kept", to: "file/inside")
        let error = #expect(throws: LXCError.self) { try DurableFile.write([1], to: directory["file"]) }
        #expect(error?.message == "cannot write \(directory["file"])")
        #expect(directory.list() == ["file"])
        expect(.notFound) { try DurableFile.write([1], to: directory["no/file"]) }
    }

    @Test func writingThroughASymbolicLinkReplacesTheLink() throws {
        try directory.write("victim", to: "victim")
        #expect(symlink(directory["victim"], directory["link"]) == 0)
        try DurableFile.write(Array("new".utf8), to: directory["link"])
        #expect(try directory.read("victim") == Array("victim".utf8))
        #expect(try DurableFile.read(directory["link"]) == Array("new".utf8))
    }

    @Test func writeNewRefusesWhatIsThere() throws {
        try DurableFile.writeNew([1, 2, 3], to: directory["new"], mode: 0o600)
        #expect(try directory.read("new") == [1, 2, 3])
        expect(.alreadyExists) {
            try DurableFile.writeNew([9], to: directory["new"], mode: 0o600)
        }
        #expect(try directory.read("new") == [1, 2, 3])
        #expect(symlink(directory["elsewhere"], directory["link"]) == 0)
        #expect(throws: LXCError.self) { try DurableFile.writeNew([9], to: directory["link"], mode: 0o600) }
        #expect(!directory.exists("elsewhere"))
    }

    // MARK: Reading

    @Test func readGivesNilForWhatIsNotThere() throws {
        #expect(try DurableFile.read(directory["missing"]) == nil)
        try directory.write("x", to: "file")
        #expect(try DurableFile.read(directory["file/below"]) == nil)
        try directory.write("", to: "empty")
        #expect(try DurableFile.read(directory["empty"]) == [])
    }

    @Test func readKeepsTheLimit() throws {
        try directory.write(String(repeating: "x", count: 100_000), to: "file")
        #expect(try DurableFile.read(directory["file"], limit: 100_000)?.count == 100_000)
        expect(.limitExceeded) { try DurableFile.read(directory["file"], limit: 99_999) }
    }

    @Test func readKeepsTheLimitForFilesThatHideTheirSize() throws {
        // Files of procfs say they have no bytes.
        expect(.limitExceeded) { try DurableFile.read("/proc/self/status", limit: 10) }
    }

    @Test func readTakesRegularFilesAlone() throws {
        try directory.makeDirectory("directory")
        #expect(mkfifo(directory["fifo"], 0o600) == 0)
        try directory.write("secret", to: "target")
        #expect(symlink(directory["target"], directory["link"]) == 0)
        for name in ["directory", "fifo"] {
            let error = #expect(throws: LXCError.self) { try DurableFile.read(directory[name]) }
            #expect(error?.code == .corrupt, "\(name)")
        }
        #expect(throws: LXCError.self) { try DurableFile.read(directory["link"]) }
    }

    // MARK: Publishing

    @Test func publishRenames() throws {
        try directory.write("x", to: "staged/inside")
        try DurableFile.publish(directory["staged"], as: directory["public"])
        #expect(directory.list() == ["public"])
        #expect(directory.list("public") == ["inside"])
    }

    @Test func publishRefusesATakenName() throws {
        try directory.write("new", to: "staged")
        try directory.write("old", to: "file")
        try directory.makeDirectory("directory")
        #expect(symlink("nowhere", directory["dangling"]) == 0)
        for name in ["file", "directory", "dangling"] {
            let error = #expect(throws: LXCError.self) {
                try DurableFile.publish(directory["staged"], as: directory[name])
            }
            #expect(error?.code == .alreadyExists, "\(name)")
        }
        #expect(try directory.read("file") == Array("old".utf8))
        #expect(directory.exists("staged"))
    }

    // MARK: Directories

    @Test func makeDirectoryAcceptsOneThatIsThere() throws {
        try DurableFile.makeDirectory(directory["made"], mode: 0o700)
        try DurableFile.makeDirectory(directory["made"], mode: 0o700)
        #expect(mode("made") == 0o700)
        expect(.notFound) { try DurableFile.makeDirectory(directory["a/b"], mode: 0o700) }
    }

    @Test func listSortsAndKeepsHiddenNames() throws {
        for name in ["b", "a", ".hidden"] { try directory.write("", to: name) }
        #expect(try DurableFile.list(directory.path) == [".hidden", "a", "b"])
        #expect(try DurableFile.list(directory["missing"]).isEmpty)
        #expect(throws: LXCError.self) { try DurableFile.list(directory["a"]) }
    }

    @Test func aLinkToADirectoryIsNone() throws {
        try directory.makeDirectory("directory")
        #expect(symlink(directory["directory"], directory["link"]) == 0)
        #expect(DurableFile.isDirectory(directory["directory"]))
        #expect(!DurableFile.isDirectory(directory["link"]))
        #expect(!DurableFile.isDirectory(directory["missing"]))
    }

    @Test func randomNamesDiffer() {
        let names = (0..<1000).map { _ in RandomName.make() }
        #expect(Set(names).count == 1000)
        #expect(names.allSatisfy { $0.utf8.count == 16 && $0.allSatisfy(\.isHexDigit) })
    }

    // MARK: Directories of this user's own

    @Test func missingDirectoriesAreMadeForThisUserAlone() throws {
        try DurableFile.makeOwnDirectories(directory["a/b/c"])
        for name in ["a", "a/b", "a/b/c"] { #expect(mode(name) == 0o700) }
        #expect(chmod(directory["a/b/c"], 0o755) == 0)
        try DurableFile.makeOwnDirectories(directory["a/b/c"])
        #expect(mode("a/b/c") == 0o755, "what is there stays as it is")
    }

    @Test func inADirectoryOfAllOnlyThisUsersOwnAreUsed() throws {
        try directory.makeDirectory("all")
        try directory.makeDirectory("elsewhere")
        #expect(chmod(directory["all"], 0o1777) == 0)
        try DurableFile.makeOwnDirectories(directory["all/own/below"])
        #expect(symlink(directory["elsewhere"], directory["all/link"]) == 0)
        #expect(throws: LXCError.self) { try DurableFile.makeOwnDirectories(directory["all/link/below"]) }
        #expect(directory.list("elsewhere").isEmpty)
        #expect(chmod(directory["all/own"], 0o777) == 0)
        expect(.unsafe) { try DurableFile.makeOwnDirectories(directory["all/own/below"]) }
    }
}
