// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCCore
import LinuxSystem

/// The processors a guest may run on, which libvirt's LXC driver sets at the start and cannot change.
extension ControlGroup {
    /// The processors.
    var cpuSet: CPUSet? {
        guard let path = cpuSetFile(in: directory(of: "cpuset")?.path) else { return nil }
        return Self.read(path).flatMap { try? CPUSet(parsing: String($0.prefix { !$0.isWhitespace })) }
    }

    private func cpuSetFile(in directory: String?) -> String? {
        guard let file = directory.map({ "\($0)/cpuset.cpus" }), access(file, F_OK) == 0 else { return nil }
        return file
    }

    /// Changes the processors.
    ///
    /// - Throws: `LXCError` `unsupported` where the host has no such controller, `invalidArgument` for processors it does
    ///   not have, and for fewer than groups inside the guest are set to.
    func setCPUSet(_ set: CPUSet) throws {
        guard let path = cpuSetFile(in: directory(of: "cpuset")?.path) else {
            throw LXCError(.unsupported, "this host's control groups cannot say on which processors a guest runs")
        }
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw LXCError.lastSystemCall("open", "open \(path)") }
        defer { close(descriptor) }
        let text = Array(set.description.utf8)
        guard Glibc.write(descriptor, text, text.count) == text.count else {
            let number = errno
            let error = LXCError.systemCall("write", errno: number, "let the guest run on the processors \(set)")
            guard number == EINVAL || number == ERANGE || number == EBUSY || number == EACCES else { throw error }
            throw LXCError(
                .invalidArgument,
                "the guest cannot be limited to the processors \(set): the host does not have them, or groups inside the "
                    + "guest use others", cause: error)
        }
    }
}
