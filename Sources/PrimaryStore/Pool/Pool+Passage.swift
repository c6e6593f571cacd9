// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import Logging
import StoreFiles

/// The users that can reach the contents of the pool. Templates and privileged volumes contain setuid-root programs, so
/// the only users of the host that pass through the pool's directory are those that must: the roots of unprivileged
/// containers, each for itself, and the account of virtual machines. If the place names no users (NFSv3, file systems
/// without access lists), everyone passes while there is one user who must, and no one otherwise.
extension Pool {
    /// Removes the passage of other users, which pools of earlier versions and new directories allow.
    func keepOthersOut() async throws {
        let found = try await files.passage()
        // With the mode alone, a pool of an earlier version may let everyone pass without need.
        let isOld = found.everyone ? try await files.read(StoreLayout.claimsComplete) == nil : false
        guard found.isLoose || isOld else { return }
        try await repair {
            try await alone {
                let users = try await claimants()
                try await files.setPassage(
                    StorePassage(
                        users: users.union(found.users), everyone: !users.isEmpty, namesUsers: found.namesUsers))
            }
            logger.notice("removed other users' access to the pool", metadata: ["pool": "\(id)"])
        }
    }

    /// Lets a user of the host pass to a volume.
    func letPass(_ user: UInt32, to volume: VolumeID) async throws {
        guard user != 0 else { return }
        try await alone {
            try await makeClaim(of: volume, in: StoreLayout.claims(ofUser: user))
            try await letPass(user)
        }
    }

    /// Restores the passage of a user who needs it: a change of the directory's mode by someone else did not mean to
    /// remove it.
    func letPassAgain(_ user: UInt32, to volume: VolumeID) async throws {
        let found = try await files.passage()
        guard user != 0, !found.everyone, !found.users.contains(user) else { return }
        try await letPass(user, to: volume)
    }

    private func letPass(_ user: UInt32) async throws {
        var passage = try await files.passage()
        guard !passage.everyone, !passage.users.contains(user) else { return }
        passage.users.insert(user)
        passage.everyone = !passage.namesUsers
        try await files.setPassage(passage)
    }

    /// Removes the passage of a user without objects in the pool.
    func keepOut(_ user: UInt32) async throws {
        try await alone {
            let directory = StoreLayout.claims(ofUser: user)
            guard try await files.list(directory).isEmpty else { return }
            var passage = try await files.passage()
            if passage.namesUsers {
                guard passage.users.remove(user) != nil else { return try await files.removeEmptyDirectory(directory) }
                passage.everyone = false
                try await files.setPassage(passage)
            } else if try await claimants().subtracting([user]).isEmpty {
                passage.everyone = false
                try await files.setPassage(passage)
            }
            try await files.removeEmptyDirectory(directory)
        }
    }

    /// The users who must pass to an object of the pool.
    private func claimants() async throws -> Set<UInt32> {
        guard try await claimsAreComplete() else {
            return try await Set(records().values.compactMap { try? $0.get().rootUser })
        }
        return Set(try await files.list(StoreLayout.claims).compactMap(Self.user))
    }

    /// The user a directory of claims is of.
    static func user(_ name: String) -> UInt32? {
        guard name.hasPrefix(StoreLayout.userPrefix) else { return nil }
        return UInt32(name.dropFirst(StoreLayout.userPrefix.count))
    }

    /// Serializes changes of the place's access.
    private func alone<Value>(_ body: () async throws -> Value) async throws -> Value {
        try await holdToFree(StoreLayout.passageLock) { _ in try await body() }
    }
}
