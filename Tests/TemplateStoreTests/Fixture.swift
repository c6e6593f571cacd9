// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import LXCCore
import TemplateStore
import TestSupport

/// A secondary storage in a directory of its own, and archives to register in it.
struct Fixture {
    let directory: ScratchDirectory
    let store: LocalSecondaryStorage
    let key = TemplateKey(account: 1, id: 10)

    init() throws {
        directory = try ScratchDirectory()
        try directory.makeDirectory("secondary")
        store = LocalSecondaryStorage(path: directory["secondary"])
        for (name, text) in [("etc/hostname", "box\n"), ("bin/busybox", "binary"), ("etc/motd", ""), ("sbin/init", "")]
        {
            try directory.write(text, to: "root/\(name)")
        }
        try Command.run("/bin/tar", "-C", directory["root"], "--owner=0", "--group=0", "-cf", directory["plain"], ".")
    }

    /// The path of a plain tar.
    var tar: String { directory["plain"] }

    /// The tar compressed by a program of the host, under a name that says nothing of it.
    func compressed(by program: String) throws -> String {
        try Command.run("/bin/sh", "-c", "\(program) -c < '\(tar)' > '\(directory["compressed"])'")
        return directory["compressed"]
    }

    func registration(_ source: String? = nil) -> TemplateRegistration {
        TemplateRegistration(key: key, name: "201-2-debian", summary: "Debian: minimal", source: source ?? tar)
    }

    func checksum(_ program: String, of file: String) throws -> String {
        String(try Command.run("/usr/bin/\(program)", file).prefix { $0 != " " })
    }

    /// The names in the template's directory.
    var names: [String] { directory.list("secondary/template/tmpl/1/10") }

    /// Everything below the storage that is no directory.
    var files: [String] {
        let enumerator = FileManager.default.enumerator(atPath: directory["secondary"])
        return (enumerator?.compactMap { $0 as? String } ?? []).filter { name in
            var isDirectory: ObjCBool = false
            return FileManager.default.fileExists(atPath: directory["secondary/\(name)"], isDirectory: &isDirectory)
                && !isDirectory.boolValue
        }
    }

    /// Puts a template there as CloudStack does.
    func putByHand(_ key: TemplateKey, properties: String, tar name: String? = "by-hand.tar") throws {
        let place = "secondary/template/tmpl/\(key)"
        if let name { try directory.write(Array(Data(contentsOf: URL(filePath: tar))), to: "\(place)/\(name)") }
        try directory.write(properties, to: "\(place)/template.properties")
    }

    /// The properties file CloudStack writes for ``tar``.
    func properties(fileName: String = "by-hand.tar") throws -> String {
        let size = try Data(contentsOf: URL(filePath: tar)).count
        return """
            #
            #Thu Jul 18 11:22:33 UTC 2013
            filename=\(fileName)
            id=10
            public=true
            uniquename=201-2-debian
            tar.virtualsize=\(size)
            description=Debian\\: d\\u00E9butant
            checksum=
            hvm=false
            tar=true
            virtualsize=\(size)
            tar.filename=\(fileName)
            size=\(size)
            tar.size=\(size)

            """
    }
}
