// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

extension Scratch {
    /// A small root with all that a root has: directories, files of several sizes, links, a FIFO, odd modes.
    func makeRoot(_ name: String = "root") async throws -> String {
        for folder in ["bin", "dev", "etc/deep/deeper", "proc", "run", "sbin", "sys", "tmp"] {
            try makeDirectory("\(name)/\(folder)")
        }
        try write("127.0.0.1 localhost\n", to: "\(name)/etc/hosts")
        try write("", to: "\(name)/etc/empty")
        try write(String(repeating: "0123456789abcdef", count: 40_000), to: "\(name)/etc/deep/large")
        try write("über\n", to: "\(name)/etc/Gruß")
        try await host("/bin/ln", "-s", "../etc/hosts", self["\(name)/tmp/link"])
        try await host("/bin/ln", self["\(name)/etc/hosts"], self["\(name)/etc/deep/again"])
        try await host("/usr/bin/mkfifo", self["\(name)/run/fifo"])
        try await host("/bin/chmod", "1777", self["\(name)/tmp"])
        return self[name]
    }

    /// Packs a directory below, with times to the nanosecond as the directory has them.
    @discardableResult
    func pack(_ name: String, to archive: String) async throws -> String {
        try await host("/bin/tar", "--format=posix", "--numeric-owner", "-caf", self[archive], "-C", self[name], ".")
        return self[archive]
    }

    /// An archive with one entry of another name than tar programs give.
    func packHostile(_ entry: String, to archive: String) async throws -> String {
        try write("gotcha\n", to: "payload")
        try await host(
            "/bin/tar", "-cPf", self[archive], "-C", path, "--transform", "s,^payload$,\(entry),", "payload")
        try FileManager.default.removeItem(atPath: self["payload"])
        return self[archive]
    }

    /// An archive too big to be read in the time a signal needs: gigabytes of zeros that are a hole in the archive's own
    /// file.
    func packHuge(_ archive: String) throws -> String {
        let size: UInt64 = 6 << 30
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int) {
            header.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8)
        }
        put("zeros", at: 0)
        put("0000644\0" + "0000000\0" + "0000000\0", at: 100)
        put(String(size, radix: 8).leftPadded(to: 11) + "\0" + "00000000000\0" + "        0", at: 124)
        put("ustar\u{0}00", at: 257)
        let sum = header.reduce(0) { $0 + Int($1) }
        put(String(sum, radix: 8).leftPadded(to: 6) + "\0 ", at: 148)
        try Data(header).write(to: URL(filePath: self[archive]))
        let file = try FileHandle(forWritingTo: URL(filePath: self[archive]))
        try file.truncate(atOffset: 512 + size + 1024)
        try file.close()
        return self[archive]
    }
}

extension String {
    fileprivate func leftPadded(to width: Int) -> String { String(repeating: "0", count: max(0, width - count)) + self }
}
