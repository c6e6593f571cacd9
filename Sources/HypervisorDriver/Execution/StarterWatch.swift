// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore

/// The starter's work while the command runs: it reports the command's number on the host, then its termination, and
/// exits when the host has received that; until then the number stays the command's. Without a receiver it kills the
/// command and all processes started by it.
struct StarterWatch {
    /// struct pollfd: the command's descriptor, which clone(2) puts there, and the report's, whose closing is always
    /// signalled.
    static let pollCommand = UInt64(UInt32(bitPattern: -1)) | UInt64(POLLIN) << 32
    static let pollReport = EnterScript.Numbers.report

    /// The waits between attempts to remove the control group, in milliseconds: killed processes need a moment.
    private static let patience: [UInt64] = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]

    private let child: SystemCallList.Call
    /// The address of both.
    private let waiting: UInt64
    private let numbers: EnterScript.Numbers
    private let controlGroupName: String?
    private let calls = clinux_calls
    private let purpose = "watch over the command"

    init(
        child: SystemCallList.Call, waiting: UInt64, _ numbers: EnterScript.Numbers, _ controlGroupName: String?
    ) {
        self.child = child
        self.waiting = waiting
        self.numbers = numbers
        self.controlGroupName = controlGroupName
    }

    /// Adds the calls, which begin where the command has been started.
    func add(to list: inout SystemCallList) {
        let report = EnterScript.Numbers.report
        let number = list.place(words: [0])
        list.store(resultOf: child, at: number)
        let told = send(number, 8, by: &list)
        poll(2, for: nil, by: &list)
        let ended = poll(1, for: 0, by: &list)

        // There is no receiver any more.
        list.branchHere(from: told, after: EPIPE)
        kill(by: &list)
        let gone = poll(1, for: numbers.controlGroup == nil ? 0 : 5000, by: &list)
        // The kernel ends the command with its starter; processes started by the command are out of reach then.
        list.call(calls.exit_group, [0], to: purpose)

        list.branchHere(whenPositive: ended)
        let end = list.place([UInt8](repeating: 0, count: ExitReport.size))
        let flags = UInt64(WEXITED) | UInt64(WNOWAIT)
        list.call(calls.waitid, [UInt64(P_ALL.rawValue), 0, end, flags, 0], to: purpose)
        let reported = send(end, UInt64(ExitReport.size), by: &list)
        let last = list.call(calls.read, [report, end, 1], to: purpose)
        let heard = list.call(calls.fcntl, [report, UInt64(F_GETFD)], to: purpose)

        // The end was not received: the remaining processes are killed, too.
        list.branchHere(from: reported, after: EPIPE)
        list.branchHere(from: last, after: ECONNRESET)
        kill(by: &list)

        list.branchHere(whenPositive: gone)
        list.branchHere(whenPositive: heard)
        // Left alone it would become a child of the host's process 1; an init inside waits for its own children.
        list.call(calls.waitid, [UInt64(P_ALL.rawValue), 0, end, UInt64(WEXITED), 0], to: purpose)
        removeControlGroup(by: &list)
        list.call(calls.exit_group, [0], to: purpose)
    }

    private func send(_ address: UInt64, _ size: UInt64, by list: inout SystemCallList) -> SystemCallList.Call {
        list.call(
            calls.sendto, [EnterScript.Numbers.report, address, size, UInt64(MSG_NOSIGNAL)], to: purpose)
    }

    /// Waits for the first of the two, or for both; nil without a time limit.
    @discardableResult
    private func poll(_ count: UInt64, for milliseconds: UInt64?, by list: inout SystemCallList) -> SystemCallList.Call
    {
        let time = milliseconds.map { list.place(words: [$0 / 1000, $0 % 1000 * 1_000_000]) } ?? 0
        return list.call(calls.ppoll, [waiting, count, time, 0, 8], to: purpose)
    }

    private func kill(by list: inout SystemCallList) {
        guard let group = numbers.controlGroup else { return }
        list.call(
            calls.write, [group + 2, list.place(Array("1".utf8)), 1], to: purpose,
            tolerating: [ENOENT, ENODEV, EOPNOTSUPP, EPERM, EACCES])
    }

    private func removeControlGroup(by list: inout SystemCallList) {
        guard let group = numbers.controlGroup, let controlGroupName else { return }
        let name = list.place(controlGroupName)
        var tries: [SystemCallList.Call] = []
        for wait in Self.patience {
            if wait > 0 {
                let time = list.place(words: [wait / 1000, wait % 1000 * 1_000_000])
                list.call(calls.ppoll, [0, 0, time, 0, 8], to: purpose)
            }
            tries.append(
                list.call(
                    calls.unlinkat, [group, name, UInt64(AT_REMOVEDIR)], to: purpose,
                    tolerating: [EBUSY, ENOTEMPTY, EPERM, EACCES, EROFS]))
        }
        // It is gone: by the try before, or by others.
        for call in tries { list.branchHere(from: call, after: ENOENT) }
    }
}

/// siginfo_t of waitid(2), as the starter sends it.
enum ExitReport {
    static let size = MemoryLayout<siginfo_t>.size

    /// The way the command ended: si_code says by what, si_status which (both after si_signo and si_errno, and
    /// si_status after the 8 bytes of si_pid and si_uid, with the union's alignment of 8 between).
    static func decode(_ bytes: [UInt8]) -> TerminationStatus {
        let code = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 8, as: Int32.self) }
        let status = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 24, as: Int32.self) }
        let exited: Int32 = 1
        return code == exited ? .exited(status) : .signalled(status)
    }
}
