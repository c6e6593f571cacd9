// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import LXCCore
import Libvirt

/// A container controller's log of its start. The daemon writes one file for each container, and libvirt repeats only
/// messages from before the controller detached from the daemon.
struct ControllerLog: Sendable {
    private static let limit = 64 << 10

    private let path: String
    /// Its length before the start.
    private let position: off_t

    /// Notes where the file ends now.
    init(of container: String, libvirt uri: Locator) {
        path = "\(Self.directory(uri))/\(container).log"
        var status = stat()
        position = lstat(path, &status) == 0 ? status.st_size : 0
    }

    /// The directory of the logs: a private daemon's is beside its socket's.
    static func directory(_ uri: Locator) -> String {
        let socket = LibvirtURI(uri)?.socket ?? ""
        let mark = "/run/libvirt-sock"
        guard socket.hasSuffix(mark) else { return "/var/log/libvirt/lxc" }
        return "\(socket.dropLast(mark.count))/log/lxc"
    }

    /// Why the container did not start, in this package's words; nil where nothing was said.
    func reason() -> String? {
        let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        // A shorter file was started anew.
        let start = status.st_size < position ? 0 : max(position, status.st_size - off_t(Self.limit))
        var bytes = [UInt8](repeating: 0, count: Self.limit)
        let count = pread(descriptor, &bytes, bytes.count, start)
        return Self.reason(in: String(decoding: bytes.prefix(max(0, count)), as: UTF8.self))
    }

    /// The last failure in a log, in this package's words.
    static func reason(in text: String) -> String? {
        let marks = ["Failure in libvirt_lxc startup: ", " error : "]
        let words = text.split(whereSeparator: \.isNewline).compactMap { line -> Substring? in
            marks.compactMap { line.firstRange(of: $0)?.upperBound }.first.map { line[$0...] }
        }
        guard let last = words.last(where: { translated(String($0)) != nil }) ?? words.last else { return nil }
        return translated(String(last)) ?? "its controller says \"\(String(last).escapedForDisplay(atMost: 500))\""
    }

    private static func translated(_ words: String) -> String? {
        if let match = words.firstMatch(of: /cannot find init path '(?<path>.*)' relative to container root/) {
            return "there is no program \(shown(match.path)) in its root to be its process 1"
        }
        guard let match = words.firstMatch(of: /(?i)cannot exec(?:ute binary)? '?(?<path>[^':]*)'?: (?<cause>.*)/)
        else {
            return nil
        }
        let program = "its process 1, \(shown(match.path)), cannot be executed"
        return switch String(match.cause) {
        case "Exec format error":
            "\(program): it is a program for another processor, or a script whose first line names no interpreter"
        case "No such file or directory":
            "\(program): the interpreter or the loader it names is not in the container's root"
        case "Permission denied":
            "\(program): its mode does not allow it, or that of a directory above it"
        case let other: "\(program): \(other.escapedForDisplay(atMost: 200))"
        }
    }

    private static func shown(_ path: Substring) -> String { String(path).escapedForDisplay(atMost: 500) }
}
