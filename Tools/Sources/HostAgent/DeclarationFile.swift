// SPDX-License-Identifier: Apache-2.0

import Glibc
import HostAgentPlan
import LXCCore
import LXCHypervisor
import OperatorSupport

/// The file that declares the containers.
struct DeclarationFile: Sendable {
    let path: String

    /// The attributes that identify a version of the file: an editor writes it anew or in place.
    enum Stamp: Hashable, Sendable {
        case missing
        case file(inode: UInt64, size: Int64, seconds: Int, nanoseconds: Int)
    }

    struct Reading: Sendable {
        /// Taken before reading, so that a concurrent change is noticed the next time.
        var stamp: Stamp
        var declaration: Result<Declaration, any Error>
    }

    /// Reads it.
    func read() async -> Reading {
        let stamp = await stamp()
        do {
            let declaration = try await BlockingPool.shared.run { [path] _ in
                try JSONFile.read(Declaration.self, "declaration", from: path)
            }
            return Reading(stamp: stamp, declaration: .success(declaration))
        } catch {
            return Reading(stamp: stamp, declaration: .failure(error))
        }
    }

    /// Reads the file if it has changed since it was read; nil if it has not.
    func read(unless known: Stamp?) async -> Reading? {
        guard await stamp() != known else { return nil }
        return await read()
    }

    private func stamp() async -> Stamp {
        let stamp = try? await BlockingPool.shared.run { [path] _ in
            var status = stat()
            guard stat(path, &status) == 0 else { return Stamp.missing }
            return .file(
                inode: UInt64(status.st_ino), size: Int64(status.st_size), seconds: status.st_mtim.tv_sec,
                nanoseconds: status.st_mtim.tv_nsec)
        }
        return stamp ?? .missing
    }
}
