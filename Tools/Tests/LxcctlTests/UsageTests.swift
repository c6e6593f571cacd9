// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// What a command line that makes no sense, and one that asks for help, lead to.
@Suite(.timeLimit(.minutes(15))) struct UsageTests {
    @Test(arguments: [
        ["nonsense"], ["tree"], ["tree", "unpack"], ["tree", "unpack", "a.tar"], ["tree", "unpack", "a", "b", "c"],
        ["tree", "pack", "a"], ["tree", "pack", "a", "b.tar", "--strategy", "copy"],
        ["tree", "clone", "a", "b", "--strategy", "magic"], ["tree", "digest", "a", "--log-level", "loud"],
        ["tree", "unpack", "a", "b", "--limits", "entries"], ["template", "register", "a", "--account", "x"],
        ["template", "register", "a", "--account", "-1", "--id", "1", "--name", "n"],
        ["container", "create"], ["container", "create", "web1"], ["container", "create", "web1", "--spec", "a.json"],
        ["container", "create", "--spec", "a.json", "--memory", "1GiB"],
        ["container", "create", "web1", "--template", "x", "--privileged", "--id-map", "0:1:2"],
        ["container", "create", "web1", "--template", "x", "--cpus", "many"], ["container", "start"],
        ["container", "stop", "web1", "--timeout", "soon"], ["container", "stop", "web1", "--timeout", "nan"],
        ["container", "stop", "web1", "--timeout", "-1"], ["container", "stop", "web1", "--timeout", "1e300"],
        ["container", "console", "web1", "--for", "inf"], ["pool", "info", "--unknown"],
        ["pool", "list", "--primary"], ["xml"],
    ])
    func senselessCommandLine(_ arguments: [String]) async throws {
        let outcome = try await Lxcctl.run(arguments)
        // A command with subcommands and none given shows its help; that is no failure.
        if arguments == ["tree"] { return #expect(outcome.status == 0 && outcome.stdout.contains("SUBCOMMANDS")) }
        #expect(outcome.status == 64, "\(outcome)")
        #expect(outcome.stdout.isEmpty)
        #expect(outcome.stderr.contains("Usage: lxcctl"), "\(outcome.stderr)")
        outcome.expectPlainText()
    }

    @Test func version() async throws {
        let version = try await Lxcctl.run("--version").line()
        #expect(version.wholeMatch(of: /\d+\.\d+\.\d+/) != nil)
    }

    /// Every command tells what it does and what each of its arguments and options is.
    @Test func everyCommandHasHelp() async throws {
        let commands = try await commands(below: [])
        #expect(commands.count >= 25)
        for command in commands {
            let help = try await Lxcctl.run(command + ["--help"])
            #expect(help.status == 0)
            #expect(help.stderr.isEmpty)
            #expect(help.stdout.hasPrefix("OVERVIEW: "), "\(command)")
            help.expectPlainText()
            for line in help.stdout.split(separator: "\n") where line.wholeMatch(of: /\ \ (-|<)\S+(\ <\S+>)?\ */) != nil
            {
                // An option too long for its column has its help on the next line.
                #expect(help.stdout.contains("\(line)\n     "), "\(command): \(line) is not explained")
            }
        }
    }

    private func commands(below command: [String]) async throws -> [[String]] {
        let help = try await Lxcctl.run(command + ["--help"]).stdout
        guard let list = help.range(of: "SUBCOMMANDS:\n") else { return [command] }
        var found: [[String]] = []
        for line in help[list.upperBound...].split(separator: "\n", omittingEmptySubsequences: false) {
            guard let name = line.firstMatch(of: /^\ \ ([a-z]+)/)?.1 else {
                if line.isEmpty { break }
                continue
            }
            found += try await commands(below: command + [String(name)])
        }
        return found
    }
}
