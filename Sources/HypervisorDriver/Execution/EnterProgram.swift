// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem

/// The program that executes the system calls of a list: an immutable executable in memory.
///
/// A guest with enough privilege can open the executable of a visible process and write to it (CVE-2019-5736). This one
/// is sealed, and is neither this program nor a file.
enum EnterProgram {
    /// Segments begin where pages of any size the architectures have begin.
    private static let alignment = 0x10000

    /// Makes the program.
    ///
    /// - Throws: `LXCError` `io`.
    static func make(_ list: SystemCallList) throws -> Descriptor {
        let file = clinux_memory_file("lxc-enter")
        guard file >= 0 else { throw LXCError.lastSystemCall("memfd_create", "make the program that runs a command") }
        let descriptor = Descriptor(adopting: file)
        guard image(list).withUnsafeBytes({ Descriptor.writeAll($0, to: file) }) else {
            throw LXCError.lastSystemCall("write", "write the program that runs a command")
        }
        guard clinux_seal(file) == 0 else {
            throw LXCError.lastSystemCall("fcntl", "seal the program that runs a command")
        }
        return descriptor
    }

    /// An ELF executable of three segments (elf(5)).
    static func image(_ list: SystemCallList) -> [UInt8] {
        var size = 0
        let start = clinux_enter_code(&size)
        let code = Array(UnsafeRawBufferPointer(start: start, count: size))
        let readExecute: UInt32 = 5
        let readWrite: UInt32 = 6
        let segments = [
            (clinux_enter_code_address, readExecute, code), (clinux_enter_list_address, readWrite, list.encoded),
            (clinux_enter_data_address, readWrite, list.memory),
        ]
        var headers = ELFWriter()
        headers.fileHeader(entry: clinux_enter_code_address, machine: clinux_elf_machine, segments: segments.count)
        var contents: [UInt8] = []
        var offset = alignment
        for (address, flags, bytes) in segments {
            headers.segment(
                offset: UInt64(offset), address: address, size: UInt64(bytes.count), flags: flags,
                alignment: UInt64(alignment))
            contents += bytes + [UInt8](repeating: 0, count: -bytes.count & (alignment - 1))
            offset = alignment + contents.count
        }
        return headers.bytes + [UInt8](repeating: 0, count: alignment - headers.bytes.count) + contents
    }
}

/// The headers of an ELF executable with 64-bit words, in this machine's byte order.
private struct ELFWriter {
    private(set) var bytes: [UInt8] = []

    private mutating func put(_ value: some FixedWidthInteger) { bytes += withUnsafeBytes(of: value, Array.init) }

    mutating func fileHeader(entry: UInt64, machine: UInt16, segments: Int) {
        let sixtyFourBits: UInt8 = 2
        let littleEndian: UInt8 = 1
        let version: UInt8 = 1
        bytes += [0x7F] + Array("ELF".utf8) + [sixtyFourBits, littleEndian, version] + [UInt8](repeating: 0, count: 9)
        put(UInt16(2))  // An executable at fixed addresses.
        put(machine)
        put(UInt32(1))
        put(entry)
        put(UInt64(64))  // Where the segments' headers begin,
        put(UInt64(0))  // and those of sections: there are none.
        put(UInt32(0))
        put(UInt16(64))
        put(UInt16(56))
        put(UInt16(segments))
        put(UInt16(64))
        put(UInt16(0))
        put(UInt16(0))
    }

    mutating func segment(offset: UInt64, address: UInt64, size: UInt64, flags: UInt32, alignment: UInt64) {
        put(UInt32(1))  // Loaded.
        put(flags)
        for word in [offset, address, address, size, size, alignment] { put(word) }
    }
}
