// SPDX-License-Identifier: Apache-2.0

import FileTree
import Foundation
import Glibc
import LXCCore
import LXCTesting
import LinuxSystem
import PrimaryStore
import TestSupport
import Testing

/// A store in a directory of its own, and what the tests do to it behind its back.
struct Fixture {
    let directory: ScratchDirectory
    let store: SharedMountPointStore

    init() async throws {
        directory = try ScratchDirectory()
        store = try await SharedMountPointStore.create(at: directory.path)
    }

    /// A small root the process may own.
    static var tree: MemoryTree { MemoryTree.smallRoot(user: geteuid(), group: getegid()) }

    static var options: PrimaryStoreConformance.Options {
        var options = PrimaryStoreConformance.Options()
        options.tree = tree
        options.mapsOwners = geteuid() == 0
        options.reopen = { store in
            let store = try #require(store as? SharedMountPointStore)
            return try await SharedMountPointStore(path: store.path, id: store.id)
        }
        options.tamper = { store, template in
            let store = try #require(store as? SharedMountPointStore)
            try Data("tampered".utf8).write(to: URL(filePath: "\(store.path)/\(template)/etc/hostname"))
        }
        options.killInstaller = { store, template in
            let store = try #require(store as? SharedMountPointStore)
            try StoreWriter.kill(installing: template, in: store.path)
        }
        return options
    }

    func template() async throws -> TemplateID {
        try await store.installTemplate(.random(), from: Self.tree).id
    }

    func volume() async throws -> VolumeID {
        try await store.createVolume(.random(), from: template()).id
    }

    /// Everything below the control directory but the pool's identity, directory after directory.
    var control: [String] {
        ["staging", "trash", "objects", "leases", "locks"].flatMap { part in
            directory.list(".lxc/\(part)").map { "\(part)/\($0)" }
        }
    }

    /// The names in the directory of claims, but for what says that they are complete.
    var claims: [String] { directory.list(".lxc/claims").filter { $0 != "complete" } }

    /// Runs `body` holding an object's lock, as another program does.
    func locking<Value>(
        _ id: Identifier<some Any>, _ mode: FileLock.Mode = .exclusive, _ body: () async throws -> Value
    ) async throws -> Value {
        let (name, file) = (".lxc/locks/\(id)", directory[".lxc/pool.json"])
        while true {
            if let value = try await FileLock.tryHold(name, in: file, mode, pool: .shared, body) { return value }
        }
    }

    func mode(_ name: String) -> mode_t {
        var status = stat()
        return lstat(directory[name], &status) == 0 ? status.st_mode & 0o7777 : 0
    }
}
