import FileTree
import LXCCore
import TarArchive
import TestSupport
import Testing

@Suite("Hostile archives", .timeLimit(.minutes(2)))
struct HostileArchiveTests {
    private func code(limits: TreeLimits = TreeLimits(), _ build: (inout TarBuilder) -> Void) -> LXCError.Code? {
        var tar = TarBuilder()
        build(&tar)
        return errorCode { _ = try readAll(tar.finish(), limits: limits) }
    }

    @Test("names that lead outside are refused", arguments: ["../x", "a/../../x", "/etc/passwd", "..", "a/.."])
    func names(name: String) {
        #expect(code { $0.add(name) } == .unsafe)
        #expect(code { $0.add("hard", type: "1", linkTarget: name) } == .unsafe)
        let pax = code {
            $0.addPax(["path": name])
            $0.add("harmless")
        }
        #expect(pax == .unsafe)
    }

    @Test("what follows a NUL in a name is no part of it")
    func nul() throws {
        var tar = TarBuilder()
        tar.add("name\u{0}/../../x")
        tar.addPax([(key: "path", value: Array("safe\u{0}/../../x".utf8))])
        tar.add("x")
        #expect(try readAll(tar.finish()).entries.map(\.path) == ["name", "safe"])
    }

    @Test("the root must be a directory", arguments: ["0", "1", "2", "6"] as [Character])
    func root(type: Character) {
        #expect(code { $0.add(".", type: type, linkTarget: "target") } == .unsafe)
        #expect(code { $0.add("././.", type: type, linkTarget: "target") } == .unsafe)
    }

    @Test("owners beyond what Linux knows are refused")
    func owners() {
        #expect(code { $0.add("x", user: 1 << 32) } == .unsafe)
        #expect(code { $0.add("x", group: (1 << 32) - 1) } == .unsafe)
        #expect(code { $0.add("x", user: 1 << 32 - 2) } == nil)
    }

    @Test("limits hold for names, targets and attributes")
    func limits() {
        var limits = TreeLimits()
        limits.pathLength = 10
        limits.linkTargetLength = 20
        limits.attributeBytes = 30
        #expect(code(limits: limits) { $0.add("0123456789") } == nil)
        #expect(code(limits: limits) { $0.add("0123456789a") } == .limitExceeded)
        #expect(code(limits: limits) { $0.add("l", type: "1", linkTarget: "0123456789a") } == .limitExceeded)
        let target = String(repeating: "t", count: 21)
        #expect(code(limits: limits) { $0.add("l", type: "2", linkTarget: target) } == .limitExceeded)
        #expect(code(limits: limits) { $0.add("l", type: "2", linkTarget: String(target.dropLast())) } == nil)
        let attributes = code(limits: limits) {
            $0.addPax(["SCHILY.xattr.user.a": "0123456789", "SCHILY.xattr.user.b": "0123456789"])
            $0.add("x")
        }
        #expect(attributes == .limitExceeded)
    }

    @Test("a symbolic link to nothing is corrupt")
    func emptyTarget() {
        #expect(code { $0.add("l", type: "2") } == .corrupt)
    }

    @Test(
        "sparse maps that overlap, descend or leave the file are corrupt",
        arguments: ["4,4,2,4", "8,4,0,4", "60,8,0,0"])
    func sparseMaps(map: String) {
        let result = code {
            $0.addPax([
                "GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": "64", "GNU.sparse.map": map,
            ])
            $0.add("sparse", data: [UInt8](repeating: 1, count: 8))
        }
        #expect(result == .corrupt)
    }

    @Test("a sparse map without end is stopped")
    func endlessMap() throws {
        let scratch = try Scratch()
        let map = Array(("9000000\n" + String(repeating: "0\n0\n", count: 4 << 20)).utf8)
        var tar = TarBuilder()
        tar.addPax(["GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "1"])
        tar.add("sparse", data: map)
        let packed = try scratch.compress(tar.finish(), with: "gzip")
        #expect(errorCode { _ = try readAll(packed) } == .limitExceeded)
    }

    @Test("an archive that expands out of all proportion is stopped")
    func expansion() throws {
        let scratch = try Scratch()
        var tar = TarBuilder()
        tar.add("zeros", data: [UInt8](repeating: 0, count: 80 << 20))
        let packed = try scratch.store(scratch.compress(tar.finish(), with: "gzip"))
        var limits = TreeLimits()
        limits.expansionRatio = 100
        let source = try TarArchive(packed).open(limits: limits)
        _ = try source.next()
        #expect(errorCode { _ = try source.next() } == .limitExceeded)
    }
}
