// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxSystem

/// The mounts of this process's mount namespace (proc_pid_mountinfo(5)).
enum MountTable {
    /// Whether anything is mounted below an open directory, so that its visible contents differ from its file system's;
    /// nil if the kernel does not report it.
    static func hasMounts(below directory: CInt) -> Bool? {
        guard let path = path(of: directory), let mount = FileStatus(of: directory)?.mount,
            let file = Descriptor("/proc/self/mountinfo", flags: O_RDONLY), let table = Descriptor.readAll(file.raw)
        else { return nil }
        let prefix = path == [UInt8(ascii: "/")] ? path : path + [UInt8(ascii: "/")]
        return table.split(separator: UInt8(ascii: "\n")).contains { line in
            let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 5)
            guard fields.count > 5 else { return false }
            return UInt64(String(decoding: fields[1], as: UTF8.self)) == mount
                && unescaped(fields[4]).starts(with: prefix)
        }
    }

    private static func path(of directory: CInt) -> [UInt8]? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
            let length = readlink("/proc/self/fd/\(directory)", buffer.baseAddress.unsafelyUnwrapped, buffer.count)
            return length <= 0 || length == buffer.count ? nil : buffer[..<length].map { UInt8(bitPattern: $0) }
        }
    }

    /// Blanks, tabs, newlines and backslashes are written as three octal digits.
    private static func unescaped(_ field: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var rest = field
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8) {
                result.append(code)
                rest = rest.dropFirst(3)
            } else {
                result.append(byte)
            }
        }
        return result
    }
}
