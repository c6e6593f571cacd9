import FileTree
import Glibc
import LXCCore

/// A file that is copied into a container or out of it.
struct HostFile: ~Copyable {
    private static let chunkSize = 1 << 20

    private let descriptor: Descriptor
    private let shown: String
    /// Its permissions.
    let mode: UInt16

    /// Takes a file that is open for reading.
    init(_ descriptor: consuming Descriptor, shown: String) {
        self.descriptor = descriptor
        self.shown = shown.escapedForDisplay
        mode = 0o600
    }

    /// Opens a file of the host.
    ///
    /// - Throws: `LXCError` `notFound`; `invalidArgument` when it is no regular file.
    init(reading path: String) throws {
        let shown = path.escapedForDisplay
        guard let descriptor = Descriptor(path, flags: O_RDONLY | O_NONBLOCK) else {
            throw LXCError.lastSystemCall("open", "read \(shown)")
        }
        var status = stat()
        guard fstat(descriptor.raw, &status) == 0 else { throw LXCError.lastSystemCall("fstat", "look at \(shown)") }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw LXCError(.invalidArgument, "\(shown) is no regular file")
        }
        self.descriptor = descriptor
        self.shown = shown
        mode = UInt16(status.st_mode & 0o777)
    }

    /// Writes all of it to an open file.
    func copy(to destination: CInt, _ cancellation: Cancellation) throws {
        var buffer = [UInt8](repeating: 0, count: Self.chunkSize)
        while true {
            try cancellation.check()
            let count = Descriptor.retrying { read(descriptor.raw, &buffer, buffer.count) }
            guard count >= 0 else { throw LXCError.lastSystemCall("read", "read \(shown)") }
            guard count > 0 else { return }
            guard buffer[..<count].withUnsafeBytes({ Descriptor.writeAll($0, to: destination) }) else {
                throw LXCError.lastSystemCall("write", "copy \(shown)")
            }
        }
    }

    /// Makes a new file and has `fill` write it; takes it away again when that fails.
    ///
    /// - Throws: `LXCError` `alreadyExists`, `notFound` without the directory, and what `fill` throws.
    static func create(_ path: String, _ fill: (CInt) throws -> Void) throws {
        guard let file = Descriptor(path, flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600) else {
            throw LXCError.lastSystemCall("open", "create \(path.escapedForDisplay)")
        }
        do {
            try fill(file.raw)
            guard fsync(file.raw) == 0 else {
                throw LXCError.lastSystemCall("fsync", "write \(path.escapedForDisplay)")
            }
        } catch {
            unlink(path)
            throw error
        }
    }
}
