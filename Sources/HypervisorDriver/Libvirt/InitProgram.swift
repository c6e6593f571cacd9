// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCCore
import LibvirtXML
import LinuxSystem

/// The program of a container's process 1, as seen below the container's root: the reason why it cannot be executed, if
/// no other report has it.
struct InitProgram: Sendable {
    private static let headerLimit = 64 << 10

    private let root: String
    private let path: String

    /// Nil where the document names no program, or its root is no directory of this host.
    init?(of domain: Domain) {
        guard let path = domain.os.initPath else { return nil }
        for filesystem in domain.filesystems where filesystem.target == "/" {
            guard case .mount(let root) = filesystem.source else { continue }
            (self.root, self.path) = (root, path)
            return
        }
        return nil
    }

    /// Why the kernel does not execute it, in this package's words; nil where it does.
    ///
    /// Mounts of the container over its root are not visible: this is only used for containers that have ended.
    func fault() -> String? {
        guard let root = try? ConfinedRoot(path: root, shown: "the container") else { return nil }
        let shown = path.escapedForDisplay(atMost: 500)
        let unusable = "its process 1, \(shown), cannot be executed"
        let file: Descriptor
        do {
            file = try root.openFile(path)
        } catch let error as LXCError {
            switch error.code {
            case .invalidArgument: return "\(unusable): it is not a program"
            default: return "there is no program \(shown) in its root to be its process 1"
            }
        } catch {
            return nil
        }
        var status = stat()
        guard fstat(file.raw, &status) == 0 else { return nil }
        // The container's root may execute any file that is executable for anyone.
        guard status.st_mode & 0o111 != 0 else {
            return "\(unusable): its mode does not allow it"
        }
        guard let header = Self.beginning(of: file.raw) else { return nil }
        switch Format(header) {
        case .script(let interpreter?):
            return (try? root.openFile(interpreter)) == nil
                ? "\(unusable): the interpreter it names, \(interpreter.escapedForDisplay(atMost: 200)), is not in the "
                    + "container's root" : nil
        case .script(nil):
            return "\(unusable): it is a script whose first line names no interpreter"
        case .program(let machine, let loader):
            guard Self.machines.isEmpty || Self.machines.contains(machine) else {
                return "\(unusable): it is a program for another processor"
            }
            guard let loader, (try? root.openFile(loader)) == nil else { return nil }
            return
                "\(unusable): the loader it names, \(loader.escapedForDisplay(atMost: 200)), is not in the container's "
                + "root"
        case .unknown:
            return "\(unusable): it is neither a program nor a script whose first line names its interpreter"
        }
    }

    private static func beginning(of file: CInt) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: headerLimit)
        let count = pread(file, &bytes, bytes.count, 0)
        return count < 0 ? nil : Array(bytes[..<count])
    }

    /// The kinds of machine code this host executes, as elf(5) numbers them: its own, and the 32-bit kind of it.
    private static let machines: Set<UInt16> = {
        guard let file = Descriptor("/proc/self/exe", flags: O_RDONLY), let header = beginning(of: file.raw),
            case .program(let machine, _) = Format(header)
        else { return [] }
        let (i386, x86, arm, arm64): (UInt16, UInt16, UInt16, UInt16) = (3, 62, 40, 183)
        return switch machine {
        case x86: [x86, i386]
        case arm64: [arm64, arm]
        default: [machine]
        }
    }()

    /// The kernel's interpretation of a file.
    enum Format: Equatable {
        /// A script, and the interpreter its first line names.
        case script(String?)
        /// An ELF program: the processor it is for, and the loader it names.
        case program(machine: UInt16, loader: String?)
        case unknown

        /// Judges the beginning of a file.
        init(_ header: [UInt8]) {
            if header.starts(with: Array("#!".utf8)) {
                let line = header.dropFirst(2).prefix(254).prefix { $0 != UInt8(ascii: "\n") && $0 != 0 }
                let word = String(decoding: line, as: UTF8.self).split { $0 == " " || $0 == "\t" }.first
                self = .script(word.map(String.init))
                return
            }
            guard header.starts(with: [0x7f] + Array("ELF".utf8)), header.count >= 64 else {
                self = .unknown
                return
            }
            let elf = ELF(bytes: header)
            self = .program(machine: UInt16(truncatingIfNeeded: elf.number(at: 18, 2)), loader: elf.loader)
        }
    }
}

/// The header of an ELF file, and its program headers as far as they are there (elf(5)).
private struct ELF {
    let bytes: [UInt8]
    private var isWide: Bool { bytes[4] == 2 }
    private var isLittle: Bool { bytes[5] == 1 }

    /// A number in the file's byte order; 0 beyond what there is.
    func number(at offset: Int, _ count: Int) -> Int {
        guard offset >= 0, offset <= bytes.count - count else { return 0 }
        let part = bytes[offset..<offset + count]
        let value = (isLittle ? Array(part.reversed()) : Array(part)).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return Int(clamping: value)
    }

    /// The path in its PT_INTERP segment.
    var loader: String? {
        let interpreter = 3
        let table = isWide ? number(at: 32, 8) : number(at: 28, 4)
        let (size, count) = isWide ? (number(at: 54, 2), number(at: 56, 2)) : (number(at: 42, 2), number(at: 44, 2))
        guard table < bytes.count, size > 0 else { return nil }
        for index in 0..<count {
            let header = table + index * size
            guard header < bytes.count, number(at: header, 4) == interpreter else { continue }
            let start = isWide ? number(at: header + 8, 8) : number(at: header + 4, 4)
            guard start < bytes.count else { return nil }
            let text = bytes[start...].prefix(4096).prefix { $0 != 0 }
            return text.isEmpty ? nil : String(decoding: text, as: UTF8.self)
        }
        return nil
    }
}
