// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LinuxSystem

/// The users and groups of a container, read from its files as text: no program and no library of the container runs.
package struct GuestAccounts {
    /// A line of `/etc/passwd`.
    package struct User: Hashable {
        package var name: String
        package var id: UInt32
        package var group: UInt32
        package var home: String
    }

    /// A container could make its files as long as it likes.
    private static let limit = 4 << 20

    private let users: String
    private let groups: String

    /// Reads both files; a missing one counts as empty.
    ///
    /// - Throws: `LXCError` `limitExceeded` beyond 4 MiB, `invalidArgument` when it is not a regular file.
    init(_ root: ConfinedRoot) throws {
        users = String(decoding: try root.read("/etc/passwd", limit: Self.limit) ?? [], as: UTF8.self)
        groups = String(decoding: try root.read("/etc/group", limit: Self.limit) ?? [], as: UTF8.self)
    }

    /// Creates guest accounts from the texts of both files.
    package init(passwd: String, group: String) {
        users = passwd
        groups = group
    }

    /// The first user for whom `matches` holds.
    package func user(where matches: (User) -> Bool) -> User? {
        for line in users.split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count >= 6, let id = UInt32(fields[2]), let group = UInt32(fields[3]) else { continue }
            let user = User(name: String(fields[0]), id: id, group: group, home: String(fields[5]))
            if matches(user) { return user }
        }
        return nil
    }

    /// The groups that name a user, beside the user's own.
    package func groups(of user: User) -> [UInt32] {
        groups.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count >= 4, let id = UInt32(fields[2]), id != user.group,
                fields[3].split(separator: ",").contains(where: { $0 == user.name })
            else { return nil }
            return id
        }
    }
}
