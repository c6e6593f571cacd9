// SPDX-License-Identifier: Apache-2.0

import LXCCore
import TestSupport
import Testing

/// An archive made to do harm.
struct Attack: Sendable, CustomTestStringConvertible {
    let name: String
    let code: LXCError.Code
    var safeRoot = false
    let build: @Sendable (inout TarBuilder) -> Void
    var testDescription: String { name }
}

extension Attack {
    static let all: [Attack] = [
        Attack(name: "parent", code: .unsafe) { $0.add("../pwned") },
        Attack(name: "parent inside", code: .unsafe) { $0.add("a/../../pwned") },
        Attack(name: "absolute", code: .unsafe) { $0.add("/tmp/pwned") },
        Attack(name: "empty name", code: .unsafe) { $0.add("") },
        Attack(name: "NUL in a pax path", code: .unsafe) {
            $0.addPax([("path", [0x61, 0, 0x62])])
            $0.add("x")
        },
        Attack(name: "root as symbolic link", code: .unsafe) { $0.add(".", type: "2", link: "/tmp") },
        Attack(name: "root as file", code: .unsafe) { $0.add("./", type: "2", link: "../victim") },
        Attack(name: "write through a symbolic link", code: .unsafe) {
            $0.add("l", type: "2", link: "../victim")
            $0.add("l/pwned", data: [1])
        },
        Attack(name: "write through an absolute symbolic link, deeper", code: .unsafe) {
            $0.add("l", type: "2", link: "/tmp")
            $0.add("l/a/b/pwned", data: [1])
        },
        // GNU tar follows the link, libarchive refuses it.
        Attack(name: "write through a symbolic link inside", code: .unsafe) {
            $0.add("usr/lib", type: "5")
            $0.add("lib", type: "2", link: "usr/lib")
            $0.add("lib/modules", type: "5")
        },
        Attack(name: "entry below a file", code: .unsafe) {
            $0.add("f", data: [1])
            $0.add("f/x", data: [1])
        },
        Attack(name: "hard link outside", code: .unsafe) { $0.add("h", type: "1", link: "../victim/file") },
        Attack(name: "hard link absolute", code: .corrupt) { $0.add("h", type: "1", link: "/etc/passwd") },
        Attack(name: "hard link through a symbolic link", code: .corrupt) {
            $0.add("l", type: "2", link: "../victim")
            $0.add("h", type: "1", link: "l/file")
        },
        Attack(name: "hard link to itself", code: .corrupt) { $0.add("h", type: "1", link: "./h") },
        Attack(name: "directory as hard link to itself", code: .unsafe) {
            $0.add("d", type: "5")
            $0.add("d", type: "1", link: "d")
        },
        Attack(name: "hard link to what comes later", code: .corrupt) {
            $0.add("h", type: "1", link: "f")
            $0.add("f")
        },
        Attack(name: "hard link to a directory", code: .unsafe) {
            $0.add("d", type: "5")
            $0.add("h", type: "1", link: "d")
        },
        Attack(name: "hard link to the root", code: .unsafe) { $0.add("h", type: "1", link: "./") },
        Attack(name: "hard link to what it replaces", code: .corrupt) {
            $0.add("d/f", data: [1])
            $0.add("d", type: "1", link: "d/f")
        },
        Attack(name: "hard link to what was replaced", code: .corrupt) {
            $0.add("d/f", data: [1])
            $0.add("d", data: [2])
            $0.add("d", type: "5")
            $0.add("h", type: "1", link: "d/f")
        },
        Attack(name: "owner that means none", code: .unsafe) {
            $0.addPax(["uid": "4294967295"])
            $0.add("f")
        },
        Attack(name: "owner too large", code: .unsafe) {
            $0.addPax(["uid": "4294967296"])
            $0.add("f")
        },
        Attack(name: "path too long", code: .limitExceeded) {
            $0.addPax(["path": String(repeating: "a/", count: 10_000)])
            $0.add("f")
        },
        Attack(name: "path too deep", code: .limitExceeded) {
            $0.addPax(["path": String(repeating: "a/", count: 600)])
            $0.add("f")
        },
        Attack(name: "sparse bomb", code: .limitExceeded) {
            $0.addPax(["GNU.sparse.size": "9000000000000000000", "GNU.sparse.map": "0,1"])
            $0.add("f", data: [1])
        },
        Attack(name: "sparse map out of order", code: .corrupt) {
            $0.addPax(["GNU.sparse.size": "100", "GNU.sparse.map": "50,1,0,1"])
            $0.add("f", data: [1, 2])
        },
        Attack(name: "sparse map that wraps around", code: .corrupt) {
            $0.addPax(["GNU.sparse.size": "100", "GNU.sparse.map": "18446744073709551615,2"])
            $0.add("f", data: [1, 2])
        },
        Attack(name: "sparse map longer than the data", code: .corrupt) {
            $0.addPax(["GNU.sparse.size": "100000", "GNU.sparse.map": "0,50000"])
            $0.add("f", data: [1, 2])
        },
        Attack(name: "sparse map without end", code: .limitExceeded) {
            $0.addPax(["GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "5"])
            $0.add("f", data: Array("9999999999\n".utf8))
        },
        Attack(name: "negative size", code: .corrupt) {
            $0.addPax(["size": "-1"])
            $0.add("f")
        },
        Attack(name: "size beyond the archive", code: .corrupt) {
            $0.addPax(["size": "9223372036854775807"])
            $0.add("d", type: "6")
            $0.addRaw([UInt8](repeating: 1, count: 512))
        },
        Attack(name: "huge extended header", code: .limitExceeded) { $0.add("x", type: "x", size: 1 << 30) },
        Attack(name: "malformed extended header", code: .corrupt) {
            $0.add("x", type: "x", data: Array("999 path=x\n".utf8))
            $0.add("f")
        },
        Attack(name: "extended headers without an entry", code: .limitExceeded) { builder in
            for _ in 0..<100 { builder.addPax(["comment": "x"]) }
        },
        Attack(name: "extended header at the end", code: .corrupt) { $0.addPax(["path": "x"]) },
        Attack(name: "one path for all", code: .corrupt) {
            $0.addPax([("path", Array("x".utf8))], type: "g")
            $0.add("f")
        },
        Attack(name: "more records for all than anybody needs", code: .limitExceeded) { builder in
            for index in 0..<101 {
                builder.addPax([("SCHILY.xattr.user.\(index)", [1])], type: "g")
                builder.add("f")
            }
        },
        Attack(name: "the same sparse map for all", code: .corrupt) {
            $0.addPax([("GNU.sparse.offset", [0x30]), ("GNU.sparse.numbytes", [0x30])], type: "g")
            $0.add("f")
        },
        Attack(name: "unknown kind", code: .unsupported) { $0.add("f", type: "Q") },
        Attack(name: "device numbers out of range", code: .corrupt) { $0.add("f", type: "3", major: 5_000) },
        Attack(name: "data after the end", code: .corrupt) {
            $0.add("f")
            $0.addRaw([UInt8](repeating: 0, count: 10_240))
            $0.add("second archive")
        },
        Attack(name: "data after a single block of zeros", code: .corrupt) {
            $0.add("f")
            $0.addRaw([UInt8](repeating: 0, count: 512))
            $0.add("second archive")
        },
        Attack(name: "empty link target", code: .corrupt) { $0.add("l", type: "2") },
        Attack(name: "proc as symbolic link", code: .unsafe, safeRoot: true) {
            $0.add("proc", type: "2", link: "usr")
            $0.add("usr", type: "5")
        },
        Attack(name: "dev as file", code: .unsafe, safeRoot: true) { $0.add("dev") },
        Attack(name: "sbin leading out", code: .unsafe, safeRoot: true) {
            $0.add("sbin", type: "2", link: "../../sbin")
        },
        Attack(name: "sbin leading out in two steps", code: .unsafe, safeRoot: true) {
            $0.add("sbin", type: "2", link: "usr/sbin")
            $0.add("usr/sbin", type: "2", link: "../../bin")
        },
        Attack(name: "etc absolute", code: .unsafe, safeRoot: true) { $0.add("etc", type: "2", link: "/etc") },
        Attack(name: "run made a symbolic link in the end", code: .unsafe, safeRoot: true) {
            $0.add("run/lock", type: "5")
            $0.add("run", type: "2", link: "usr")
            $0.add("usr", type: "5")
        },
        Attack(name: "dev as second name of a symbolic link", code: .unsafe, safeRoot: true) {
            $0.add("link", type: "2", link: "usr")
            $0.add("usr", type: "5")
            $0.add("dev", type: "1", link: "link")
        },
        Attack(name: "sys as device", code: .unsafe, safeRoot: true) { $0.add("sys", type: "3", major: 1, minor: 3) },
        Attack(name: "etc to a file", code: .unsafe, safeRoot: true) {
            $0.add("etc", type: "2", link: "usr/file")
            $0.add("usr/file")
        },
        Attack(name: "sbin to nothing", code: .unsafe, safeRoot: true) { $0.add("sbin", type: "2", link: "usr/sbin") },
        Attack(name: "sbin through what was a directory", code: .unsafe, safeRoot: true) {
            $0.add("usr/sbin", type: "5")
            $0.add("sbin", type: "2", link: "usr/sbin")
            $0.add("usr", type: "2", link: "/usr")
        },
        Attack(name: "etc in a circle", code: .unsafe, safeRoot: true) { $0.add("etc", type: "2", link: "etc") },
    ]
}
