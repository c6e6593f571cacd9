// SPDX-License-Identifier: Apache-2.0

#if NFS
import CLibNFS
import FileTree
import Glibc
import LXCCore
import LinuxSystem

/// The MOUNT protocol (RFC 1813, appendix I): gives the handle of an exported directory for its path.
struct MountService {
    let url: NFSURL
    let endpoint: NFSEndpoint
    /// The time to retry the service, which may be restarting.
    let limit: Duration
    private static let firstPause = Duration.milliseconds(50)
    private static let longestPause = Duration.seconds(2)

    /// The result of a libnfs callback.
    private final class Answer {
        var isConnected = false
        var isOver = false
        var problem: String?
        var status: UInt32 = 0
        var handle: [UInt8]?
        var flavors: [CInt] = []
    }

    /// The service cannot even be asked, as when its server's name stands for no address: trying again would not help.
    private struct CannotBegin: Error { let reason: LXCError }

    /// The service's reply.
    enum Reply {
        case handle([UInt8])
        /// No such path is exported to this host; one above it may be.
        case refused(LXCError)
    }

    /// Asks for a directory's handle.
    ///
    /// - Throws: `LXCError` `unavailable`, `unsupported`, `corrupt`; `CancellationError`.
    func handle(of path: [UInt8], cancellation: Cancellation) throws -> Reply {
        let deadline = ContinuousClock.now + limit
        var pause = Self.firstPause
        while true {
            do {
                let answer = Answer()
                // libnfs calls back for pending calls when its context ends, at the end of `ask`.
                try withExtendedLifetime(answer) { try ask(path, answer, deadline, cancellation) }
                return try judge(answer, path)
            } catch let error as CannotBegin {
                throw error.reason
            } catch let error as LXCError where error.code == .unavailable {
                guard ContinuousClock.now + pause < deadline else { throw error }
            }
            try sleep(pause, cancellation)
            pause = min(pause * 2, Self.longestPause)
        }
    }

    private func sleep(_ pause: Duration, _ cancellation: Cancellation) throws {
        let end = ContinuousClock.now + pause
        while ContinuousClock.now < end {
            try cancellation.check()
            usleep(40_000)
        }
    }

    private func ask(
        _ path: [UInt8], _ answer: Answer, _ deadline: ContinuousClock.Instant, _ cancellation: Cancellation
    ) throws {
        let context = try RPCContext(user: endpoint.user, group: endpoint.group)
        let opaque = Unmanaged.passUnretained(answer).toOpaque()
        let begins = context.connect(
            to: endpoint.server, port: url.mountPort, program: CInt(MOUNT_PROGRAM), version: CInt(MOUNT_V3),
            callback: { _, status, data, answer in
                guard let answer = answer.map({ Unmanaged<Answer>.fromOpaque($0).takeUnretainedValue() }) else {
                    return
                }
                answer.isConnected = status == CInt(RPC_STATUS_SUCCESS)
                answer.isOver = true
            }, context: opaque)
        guard begins else { throw CannotBegin(reason: unreachable(context.problem)) }
        try wait(context, answer, deadline, cancellation)
        guard answer.isConnected else { throw unreachable(context.problem) }
        answer.isOver = false
        let asks = withCString(path) {
            clibnfs_mount3_mnt(context.raw, Self.receive, UnsafeMutablePointer(mutating: $0), opaque)
        }
        guard asks else { throw unreachable(context.problem) }
        try wait(context, answer, deadline, cancellation)
    }

    private static let receive: rpc_cb = { _, status, data, answer in
        guard let answer = answer.map({ Unmanaged<Answer>.fromOpaque($0).takeUnretainedValue() }) else { return }
        answer.isOver = true
        guard status == CInt(RPC_STATUS_SUCCESS), let data else {
            answer.problem =
                data.map { String(cString: $0.assumingMemoryBound(to: CChar.self)).escapedForDisplay }
                ?? "the connection was lost"
            return
        }
        let result = data.load(as: mountres3.self)
        answer.status = result.fhs_status.rawValue
        guard answer.status == 0 else { return }
        let info = result.mountres3_u.mountinfo
        answer.handle = UnsafeBufferPointer(start: info.fhandle.fhandle3_val, count: Int(info.fhandle.fhandle3_len))
            .map { UInt8(bitPattern: $0) }
        answer.flavors = Array(
            UnsafeBufferPointer(
                start: info.auth_flavors.auth_flavors_val, count: Int(info.auth_flavors.auth_flavors_len))
        )
    }

    private func wait(
        _ context: borrowing RPCContext, _ answer: Answer, _ deadline: ContinuousClock.Instant,
        _ cancellation: Cancellation
    ) throws {
        while !answer.isOver {
            try cancellation.check()
            guard ContinuousClock.now < deadline else { throw unreachable("it did not answer within \(limit)") }
            var descriptor = pollfd(fd: context.descriptor, events: context.events, revents: 0)
            let count = poll(&descriptor, 1, 40)
            if count > 0, !context.service(descriptor.revents), !answer.isOver { throw unreachable(context.problem) }
        }
    }

    private func judge(_ answer: Answer, _ path: [UInt8]) throws -> Reply {
        if let problem = answer.problem { throw unreachable(problem) }
        let shown = String(escapingForDisplay: path)
        guard answer.status == 0 else {
            let (code, name) = Self.refusals[answer.status] ?? (.unavailable, "status \(answer.status)")
            return .refused(
                LXCError(code, "the NFS server \(server) does not mount \"\(shown)\" for this host (MNT: \(name))"))
        }
        // AUTH_NONE and AUTH_SYS; a server that names no flavor accepts either.
        guard answer.flavors.isEmpty || !Set(answer.flavors).isDisjoint(with: [0, 1]) else {
            throw LXCError(.unsupported, "the NFS export \"\(shown)\" asks for Kerberos; allow sec=sys for this host")
        }
        guard let handle = answer.handle, (1...64).contains(handle.count) else {
            throw LXCError(.corrupt, "the NFS server \(server) returned an invalid handle")
        }
        return .handle(handle)
    }

    /// The answers of RFC 1813, mountstat3, that other paths may not have.
    private static let refusals: [UInt32: (LXCError.Code, String)] = [
        1: (.permissionDenied, "MNT3ERR_PERM"), 2: (.notFound, "MNT3ERR_NOENT"), 5: (.io, "MNT3ERR_IO"),
        13: (.permissionDenied, "MNT3ERR_ACCES"), 20: (.invalidArgument, "MNT3ERR_NOTDIR"),
        22: (.invalidArgument, "MNT3ERR_INVAL"), 63: (.invalidArgument, "MNT3ERR_NAMETOOLONG"),
        10_004: (.unsupported, "MNT3ERR_NOTSUPP"), 10_006: (.io, "MNT3ERR_SERVERFAULT"),
    ]

    private var server: String { endpoint.server.escapedForDisplay }

    private func unreachable(_ problem: String) -> LXCError {
        LXCError(.unavailable, "the mount service of the NFS server \(server) cannot be reached for \(url): \(problem)")
    }
}
#endif
