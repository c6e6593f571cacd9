// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCHypervisor

/// Measures this package against the tools an operator would use instead, alternately in one run, and prints ratios.
@main
enum Bench {
    private static let usage = """
        usage: bench tree ARCHIVES WORK [--rounds N] [--filesystems ext4,xfs,btrfs] [--works unpack,clone,remove]
                          [--size MIB] [--json] [--quick]
               bench nfs ARCHIVE WORK [--rounds N] [--round-trips MS,MS] [--without-paths] [--quick]
               bench container WORK [--rounds N] [--parallel N] [--held N] [--distribution ARCHIVE] [--quick]
               bench op unpack|clone|remove PATH... [--durable] [--no-digest] [--window N]
               bench op unpack-by-path ARCHIVE URL

        ARCHIVES is a directory with one root filesystem as root.tar, root.tar.gz, root.tar.xz and root.tar.zst; in the
        directory WORK a file system of SIZE MiB is made in a file, again and again. `bench op` is what `bench tree`
        starts for this package, so that both sides of a ratio are processes. `bench nfs` starts an nfs-ganesha of its own
        and compares with one call at a time and with libnfs's calls by path, on plain loopback and behind a proxy that
        adds a round trip of so many milliseconds. `bench container` starts a libvirtd of its own and compares with virsh.
        """

    static func main() async {
        do {
            var arguments = Arguments(CommandLine.arguments.dropFirst())
            switch arguments.next() {
            case "tree": try TreeBench(&arguments).run()
            case "nfs": try NFSBench(&arguments).run()
            case "container": try await ContainerBench(&arguments).run()
            case "op": try await Operation(&arguments).run()
            default: throw Arguments.Wrong()
            }
        } catch is Arguments.Wrong {
            FileHandle.standardError.write(Data((usage + "\n").utf8))
            exit(64)
        } catch {
            FileHandle.standardError.write(Data("bench: \(error)\n".utf8))
            exit(1)
        }
    }
}

/// A command line, taken apart from both ends: words in sequence, options wherever they are.
struct Arguments {
    /// It is not as the usage says.
    struct Wrong: Error {}

    private var words: [String]

    init(_ words: some Sequence<String>) { self.words = Array(words) }

    /// Consumes the next word that does not belong to an option.
    mutating func next() -> String? { words.isEmpty ? nil : words.removeFirst() }

    /// Consumes the next word, which is mandatory.
    mutating func required() throws -> String {
        guard let word = next() else { throw Wrong() }
        return word
    }

    /// Consumes an option without a value; returns whether it was there.
    mutating func flag(_ name: String) -> Bool {
        guard let index = words.firstIndex(of: name) else { return false }
        words.remove(at: index)
        return true
    }

    /// Consumes an option's value.
    mutating func value(_ name: String) throws -> String? {
        guard let index = words.firstIndex(of: name) else { return nil }
        guard index + 1 < words.count else { throw Wrong() }
        defer { words.removeSubrange(index...(index + 1)) }
        return words[index + 1]
    }

    /// Consumes an option's number.
    mutating func number(_ name: String) throws -> Int? {
        guard let text = try value(name) else { return nil }
        guard let number = Int(text), number > 0 else { throw Wrong() }
        return number
    }

    /// Consumes an option's values, separated by commas; all there are by default.
    mutating func list<Value: RawRepresentable & CaseIterable>(_ name: String) throws -> [Value]
    where Value.RawValue == String {
        guard let text = try value(name) else { return Array(Value.allCases) }
        return try text.split(separator: ",").map {
            guard let value = Value(rawValue: String($0)) else { throw Wrong() }
            return value
        }
    }

    /// Everything must have been taken.
    func end() throws { if !words.isEmpty { throw Wrong() } }
}
