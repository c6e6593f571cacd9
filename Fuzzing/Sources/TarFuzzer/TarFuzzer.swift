// SPDX-License-Identifier: Apache-2.0

import CFuzzing
import FileTree
import Glibc
import LXCCore
import TarArchive

/// libFuzzer's entry point: reads each input as an archive, once with all contents and once skipping them.
///
/// For any bytes, the reader ends with an `LXCError` or the archive's end, and its output before that keeps the
/// promises of `TreeSource`.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: data, count: count)
    let whole = read(ArchiveInMemory(bytes), contents: true)
    let skipping = read(ArchiveInMemory(bytes), contents: false)
    require(whole == skipping, "skipping contents changes what is read: \(whole) and \(skipping)")
    return 0
}

/// The result of a reading.
private struct Outcome: Equatable {
    var entries = 0
    var error: LXCError.Code?
    var wasStopped = false
}

/// Tight enough that an input of some kilobytes cannot keep the reader busy for long.
private let limits: TreeLimits = {
    var limits = TreeLimits()
    limits.pathLength = 1_024
    limits.depth = 64
    limits.attributeBytes = 4_096
    limits.expansionRatio = 16
    return limits
}()

/// More entries than this are not looked at. Counting contents would make the two readings differ.
private let maximumEntries = 512

private func read(_ archive: ArchiveInMemory, contents: Bool) -> Outcome {
    var outcome = Outcome()
    do {
        let source = try TarArchive(archive.path).openForReading(TreeOpening(limits: limits))
        do {
            while let entry = try source.next() {
                outcome.entries += 1
                check(entry)
                if contents { try checkContents(of: entry, from: source) }
                if outcome.entries == maximumEntries {
                    outcome.wasStopped = true
                    return outcome
                }
            }
            require(try source.next() == nil, "an entry follows the end")
            require(try source.nextPiece() == nil, "contents follow the end")
        } catch let error as LXCError {
            outcome.error = error.code
            // A caller that continues after a failure gets nothing sensible, but neither a crash nor an endless loop.
            for _ in 0..<4 {
                _ = try? source.next()
                _ = try? source.nextPiece()
            }
        }
        check(source.position)
    } catch let error as LXCError {
        outcome.error = error.code
    } catch {
        fatalError("something else than an LXCError was thrown: \(error)")
    }
    return outcome
}

private func check(_ position: (read: UInt64, total: UInt64?)) {
    guard let total = position.total else { return }
    require(position.read <= total, "\(position.read) bytes of \(total) were read")
}

/// Ends the process, which libFuzzer reports as a finding, if a promise is broken.
func require(_ condition: Bool, _ message: @autoclosure () -> String) {
    if !condition { fatalError(message()) }
}

/// An archive as a file that can be opened by a path.
private final class ArchiveInMemory {
    private let descriptor: CInt

    init(_ bytes: UnsafeRawBufferPointer) {
        descriptor = cfuzzing_memory_file()
        require(descriptor >= 0, "memfd_create failed: \(errno)")
        var offset = 0
        while offset < bytes.count {
            let count = pwrite(descriptor, bytes.baseAddress.map { $0 + offset }, bytes.count - offset, off_t(offset))
            require(count > 0, "pwrite failed: \(errno)")
            offset += count
        }
    }

    deinit { close(descriptor) }

    var path: String { "/proc/self/fd/\(descriptor)" }
}
