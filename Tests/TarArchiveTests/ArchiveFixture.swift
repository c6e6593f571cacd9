import FileTree
import Foundation
import Glibc
import LXCCore
import TarArchive
import Testing

/// A directory for one test's files, removed with the value.
final class Scratch {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/tar-archive-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    /// Stores bytes, replacing what was there.
    @discardableResult
    func store(_ bytes: some Collection<UInt8>, as name: String = "archive") throws -> String {
        try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
        return file(name)
    }

    func load(_ name: String) throws -> [UInt8] { try Array(Data(contentsOf: URL(fileURLWithPath: file(name)))) }

    /// The bytes as `program`, a compressor, packs them.
    func compress(_ bytes: [UInt8], with program: String) throws -> [UInt8] {
        try store(bytes, as: "plain")
        let output = file("packed")
        try store([], as: "packed")
        try run("/usr/bin/\(program)", ["-c", file("plain")], output: FileHandle(forWritingAtPath: output))
        return try load("packed")
    }

    func run(_ program: String, _ arguments: [String], output: FileHandle? = nil) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        if let output { process.standardOutput = output }
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(program) \(arguments)")
    }
}

/// An entry with its contents, as a test compares it.
struct ReadEntry: Equatable {
    var entry: TreeEntry
    var pieces: [Piece] = []

    struct Piece: Equatable {
        var offset: UInt64
        var bytes: [UInt8]
    }

    /// Adds a piece, joined to the one before where it adjoins: how contents are cut is the source's own business.
    mutating func add(_ bytes: [UInt8], at offset: UInt64) {
        if let last = pieces.last, last.offset + UInt64(last.bytes.count) == offset {
            pieces[pieces.count - 1].bytes += bytes
        } else {
            pieces.append(Piece(offset: offset, bytes: bytes))
        }
    }

    var path: String { entry.path.description }
    /// The contents without their holes.
    var bytes: [UInt8] { pieces.flatMap(\.bytes) }
    var attributes: [String: [UInt8]] {
        Dictionary(uniqueKeysWithValues: entry.attributes.map { (String(decoding: $0.name, as: UTF8.self), $0.value) })
    }
}

/// Reads an archive to its end.
func readAll(_ path: String, limits: TreeLimits = TreeLimits()) throws -> (entries: [ReadEntry], losses: TreeLosses) {
    let source = try TarArchive(path).open(limits: limits)
    var entries: [ReadEntry] = []
    while let entry = try source.next() {
        var read = ReadEntry(entry: entry)
        while try source.readPiece({ read.add(Array($1), at: $0) }) {}
        entries.append(read)
    }
    #expect(try source.next() == nil)
    #expect(source.position.read == source.position.total)
    return (entries, source.losses)
}

/// Reads an archive given as bytes.
func readAll(
    _ bytes: some Collection<UInt8>, limits: TreeLimits = TreeLimits()
) throws -> (entries: [ReadEntry], losses: TreeLosses) {
    let scratch = try Scratch()
    return try readAll(try scratch.store(bytes), limits: limits)
}

/// The code of the error `body` throws; nil when it throws none, or one that is no ``LXCError``.
func errorCode(_ body: () throws -> Void) -> LXCError.Code? {
    do {
        try body()
        return nil
    } catch {
        return (error as? LXCError)?.code
    }
}
