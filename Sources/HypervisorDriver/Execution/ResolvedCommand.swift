// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// A command in the container's terms: its ids, its environment, and the possible paths of its program.
struct ResolvedCommand: Hashable {
    private static let defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// Paths of the program, tried in this order.
    private(set) var candidates: [String]
    private(set) var arguments: [String]
    private(set) var environment: [String]
    private(set) var workingDirectory: String
    private(set) var user: UInt32
    private(set) var group: UInt32
    private(set) var groups: [UInt32]
    private(set) var terminal: TerminalSize?

    /// Checks a command and completes it with the container's data on its user.
    ///
    /// - Parameters:
    ///   - command: the requested command.
    ///   - accounts: the container's users; asked for only where the command names one, or needs its home.
    /// - Throws: `LXCError` `invalidArgument`; `notFound` when the container has no such user.
    init(_ command: GuestCommand, _ accounts: @autoclosure () throws -> GuestAccounts) throws {
        try Self.check(command)
        var account: GuestAccounts.User?
        switch command.user {
        case .root:
            account = try? accounts().user { $0.id == 0 }
            (user, group, groups) = (0, account?.group ?? 0, [])
        case .id(let number):
            let all = try? accounts()
            account = all?.user { $0.id == number }
            (user, group) = (number, account?.group ?? number)
            groups = account.flatMap { found in all?.groups(of: found) } ?? []
        case .ids(let user, let group, let groups):
            (self.user, self.group, self.groups) = (user, group, groups)
            account = try? accounts().user { $0.id == user }
        case .name(let name):
            let all = try accounts()
            guard let found = all.user(where: { $0.name == name }) else {
                throw LXCError(
                    .notFound, "the container has no user \(name.escapedForDisplay) in its /etc/passwd",
                    cause: GuestCommandFault.cannotRun)
            }
            (user, group, groups) = (found.id, found.group, all.groups(of: found))
            account = found
        }
        var home = account?.home ?? "/"
        if !home.hasPrefix("/") { home = "/" }
        var variables = ["PATH": Self.defaultPath, "HOME": home, "container": "lxc-libvirt"]
        if let account { variables["USER"] = account.name }
        if command.terminal != nil { variables["TERM"] = "xterm-256color" }
        variables.merge(command.environment) { _, given in given }
        environment = variables.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        arguments = command.arguments
        candidates = Self.candidates(command.arguments[0], path: variables["PATH"] ?? "")
        workingDirectory = command.workingDirectory
        terminal = command.terminal
    }

    private static func candidates(_ program: String, path: String) -> [String] {
        if program.contains("/") { return [program] }
        let directories = path.split(separator: ":").filter { $0.hasPrefix("/") }
        return directories.isEmpty ? ["/\(program)"] : directories.map { "\($0)/\(program)" }
    }

    private static func check(_ command: GuestCommand) throws {
        guard let program = command.arguments.first, !program.isEmpty else {
            throw LXCError(.invalidArgument, "a command needs a program to run")
        }
        for text in command.arguments + command.environment.flatMap({ [$0.key, $0.value] }) where text.utf8.contains(0)
        {
            throw LXCError(.invalidArgument, "an argument or variable of the command has a NUL in it")
        }
        for name in command.environment.keys where name.isEmpty || name.contains("=") {
            throw LXCError(.invalidArgument, "\(name.escapedForDisplay) is not a valid name of an environment variable")
        }
        guard command.workingDirectory.hasPrefix("/"), !command.workingDirectory.utf8.contains(0) else {
            throw LXCError(
                .invalidArgument,
                "the directory \(command.workingDirectory.escapedForDisplay) is not an absolute path")
        }
        let size = (command.arguments + command.environment.flatMap { [$0.key, $0.value] })
            .reduce(0) { $0 + $1.utf8.count + 1 }
        // The kernel's own limit is a quarter of the stack's, 2 MiB.
        guard size <= 2 << 20 else {
            throw LXCError(.invalidArgument, "the command's arguments and environment have more than 2 MiB")
        }
    }
}
