import FileTree
import Glibc
import LXCCore

/// Why a file cannot be executed as a container's process 1 (execve(2)), told by looking at it. The kernel tells the
/// controller, which then writes to the container's console already.
struct InitDiagnosis: Sendable {
    /// How many scripts may name each other as interpreters; the kernel follows as many.
    private static let maximumScripts = 4
    /// Of a program: its header and the table that says what loads it.
    private static let beginning = 4_096

    private let root: ConfinedRoot

    /// Opens a container's root; nil where it cannot be reached from here.
    init?(rootPath: String) {
        guard let root = try? ConfinedRoot(path: rootPath, shown: "the container") else { return nil }
        self.root = root
    }

    /// The reason, in a clause that goes on after a colon; nil where nothing is wrong with the file. Blocks.
    func reason(_ path: String) -> String? {
        guard let bytes = contents(path) else {
            return "there is no program \(path.escapedForDisplay) in its root to be its process 1"
        }
        return fault(bytes, of: path).map { "its process 1, \(path.escapedForDisplay), cannot be executed: \($0)" }
    }

    private func fault(_ bytes: [UInt8], of path: String, scripts: Int = 0) -> String? {
        guard isExecutable(path) else { return "its mode does not allow it" }
        if bytes.starts(with: Array("#!".utf8)) {
            let line = bytes.dropFirst(2).prefix { $0 != 0x0A }.drop { $0 == 0x20 || $0 == 0x09 }
            let interpreter = String(decoding: line.prefix { $0 != 0x20 && $0 != 0x09 }, as: UTF8.self)
            guard !interpreter.isEmpty else { return "its first line names no interpreter" }
            let shown = "the interpreter \(interpreter.escapedForDisplay) that its first line names"
            guard scripts < Self.maximumScripts else { return "\(shown) is a script once too often" }
            guard let program = contents(interpreter) else { return "\(shown) is not in the container's root" }
            return fault(program, of: interpreter, scripts: scripts + 1).map { "\(shown) cannot be executed: \($0)" }
        }
        guard let header = ElfHeader(bytes) else {
            return "it is neither a program nor a script whose first line names an interpreter"
        }
        guard header.runsHere else { return "it is a program for another processor" }
        guard let loader = header.loader(bytes), contents(loader) == nil else { return nil }
        return "the loader \(loader.escapedForDisplay) it names is not in the container's root"
    }

    private func contents(_ path: String) -> [UInt8]? {
        guard let file = try? root.openFile(path) else { return nil }
        var bytes = [UInt8](repeating: 0, count: Self.beginning)
        let count = pread(file.raw, &bytes, bytes.count, 0)
        return count < 0 ? nil : Array(bytes.prefix(count))
    }

    private func isExecutable(_ path: String) -> Bool {
        guard let file = try? root.openFile(path) else { return false }
        var status = stat()
        return fstat(file.raw, &status) == 0 && status.st_mode & 0o111 != 0
    }
}

/// The header of a program (elf(5)), in the host's byte order.
private struct ElfHeader {
    private static let magic: [UInt8] = [0x7F, 0x45, 0x4C, 0x46]

    private let isWide: Bool
    private let machine: UInt16

    init?(_ bytes: [UInt8]) {
        guard bytes.starts(with: Self.magic), bytes.count >= 52 else { return nil }
        isWide = bytes[4] == 2
        machine = UInt16(bytes[18]) | UInt16(bytes[19]) << 8
    }

    /// Whether this kernel executes it: programs of this one's own processor, and of its 32-bit predecessor.
    var runsHere: Bool {
        #if arch(x86_64)
        let (own, older): (UInt16, UInt16) = (62, 3)
        #elseif arch(arm64)
        let (own, older): (UInt16, UInt16) = (183, 40)
        #else
        let (own, older) = (machine, machine)
        #endif
        return machine == own || machine == older
    }

    /// The program that loads it, where the beginning of the file names one (PT_INTERP).
    func loader(_ bytes: [UInt8]) -> String? {
        let (tableAt, sizeAt, countAt) = isWide ? (32, 54, 56) : (28, 42, 44)
        let (offsetAt, lengthAt) = isWide ? (8, 32) : (4, 16)
        let width = isWide ? 8 : 4
        func number(_ place: Int, _ width: Int) -> Int? {
            guard place >= 0, place <= bytes.count - width else { return nil }
            return (0..<width).reduce(0 as UInt64) { $0 | UInt64(bytes[place + $1]) << (8 * UInt64($1)) }.asIndex
        }
        guard let table = number(tableAt, width), let size = number(sizeAt, 2), let count = number(countAt, 2)
        else { return nil }
        let interpreter = 3
        for index in 0..<count {
            let place = table + index * size
            guard number(place, 4) == interpreter else { continue }
            guard let offset = number(place + offsetAt, width), let length = number(place + lengthAt, width),
                length > 1, offset <= bytes.count - length
            else { return nil }
            return String(decoding: bytes[offset..<(offset + length - 1)], as: UTF8.self)
        }
        return nil
    }
}

extension UInt64 {
    /// A place in a file of moderate size; nil for what is none.
    fileprivate var asIndex: Int? { self < 1 << 40 ? Int(self) : nil }
}
