// SPDX-License-Identifier: Apache-2.0

import FileTree
import Glibc
import LXCCore
import LinuxSystem
import Logging
import NFSClient
import StoreFiles

/// Dependences between objects, each in one file: a template knows its clones, and the pool the users that pass through
/// it, without a look at every record. A claim is made before its object and removed after it; a claim without its
/// object has no effect.
extension Pool {
    /// Runs `body`, which makes an object of `base`, with the claims it will have; they go when it fails.
    func claiming<Value>(
        _ id: VolumeID, on base: TemplateID, users: [UInt32], _ body: () async throws -> Value
    ) async throws -> Value {
        do {
            try await makeClaim(of: id, in: StoreLayout.claims(on: base))
            for user in users { try await letPass(user, to: id) }
            return try await body()
        } catch {
            await withoutCancellation { await releaseClaims(of: id, base: base, users: users) }
            throw error
        }
    }

    func makeClaim(of id: VolumeID, in directory: String) async throws {
        try await files.makePrivateDirectory(directory)
        try await files.write([], to: "\(directory)/\(id)")
    }

    /// Removes an object's claims. What cannot be removed is garbage, since its object is gone.
    func releaseClaims(of id: Identifier<some Any>, _ record: ObjectRecord?) async {
        let id = VolumeID(id.uuid)
        guard let record else { return }
        if record.kind.isBase {
            await withoutCancellation { [files] in try? await files.removeEmptyDirectory(StoreLayout.claims(on: id)) }
            return
        }
        guard let base = record.template else { return }
        await withoutCancellation {
            let users = (try? await passers(to: record).map(\.user)) ?? []
            await releaseClaims(of: id, base: base, users: users)
        }
    }

    private func releaseClaims(of id: VolumeID, base: TemplateID, users: [UInt32]) async {
        do {
            _ = try await files.remove("\(StoreLayout.claims(on: base))/\(id)")
            for user in users where try await files.remove("\(StoreLayout.claims(ofUser: user))/\(id)") {
                try await keepOut(user)
            }
        } catch {
            logger.warning(
                "cannot remove an object's claims; garbage collection will",
                metadata: ["pool": "\(self.id)", "id": "\(id)", "error": "\(error)"])
        }
    }

    /// The objects made, or being made, of a template or an image.
    func dependents(of base: TemplateID) async throws -> [VolumeID] {
        guard try await claimsAreComplete() else {
            let contents = try await contents()
            return contents.volumes.filter { $0.template == base }.map(\.id)
                + contents.disks.filter { $0.image == base }.map(\.id)
        }
        return try await files.list(StoreLayout.claims(on: base)).compactMap { try? VolumeID(parsing: $0) }
    }

    /// Whether every object has its claims. Those of a pool of an earlier version are made now, where there is room.
    func claimsAreComplete() async throws -> Bool {
        if try await files.read(StoreLayout.claimsComplete) != nil { return true }
        do {
            for (id, record) in try await records() {
                guard let record = try? record.get(), let base = record.template, try await isThere(id) else {
                    continue
                }
                try await makeClaim(of: id, in: StoreLayout.claims(on: base))
                if let user = record.rootUser { try await makeClaim(of: id, in: StoreLayout.claims(ofUser: user)) }
            }
            try await files.makePrivateDirectory(StoreLayout.claims)
            try await files.write([], to: StoreLayout.claimsComplete)
            return true
        } catch let error as LXCError where error.isLackOfSpace || error.isReadOnly {
            return false
        }
    }
}

extension ObjectRecord {
    /// The host's user who is root in an unprivileged container.
    var rootUser: UInt32? { kind == .volume ? idMap?.hostUser(0) : nil }
}

extension LXCError {
    /// Whether the file system is mounted or exported for reading alone.
    var isReadOnly: Bool {
        switch cause {
        case let cause as SystemCallError: cause.errno == EROFS
        case let cause as NFSError: cause.status == .readOnly
        case let cause as LXCError: cause.isReadOnly
        default: false
        }
    }
}
