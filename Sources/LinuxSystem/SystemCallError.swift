// SPDX-License-Identifier: Apache-2.0

import Glibc
public import LXCCore

/// A failed system call: its name and its errno.
public struct SystemCallError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The system call's name, such as `openat2`.
    public let call: String
    /// The error number, such as `ENOSPC`.
    public let errno: CInt

    /// Creates a system call error from the name and the error number of a call that failed.
    public init(_ call: String, errno: CInt) {
        self.call = call
        self.errno = errno
    }

    /// The call and the kernel's own words, such as `openat2: No space left on device`.
    public var description: String { "\(call): \(Self.text(of: errno))" }

    private static func text(of number: CInt) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard let base = buffer.baseAddress, strerror_r(number, base, buffer.count) == 0 else {
                return "errno \(number)"
            }
            return String(cString: base)
        }
    }
}

extension SystemCallError: SpaceFailure {
    /// Whether the cause is a lack of space, inodes or quota.
    package var isLackOfSpace: Bool { errno == ENOSPC || errno == EDQUOT }
}

extension LXCError {
    /// The error for the system call named `call`, which has just failed while `doing`, as in `create volume …`: reads
    /// `errno`, so it must be made in the same synchronous stretch as the call.
    public static func lastSystemCall(
        _ call: String, _ doing: String, fileID: String = #fileID, line: Int = #line
    ) -> LXCError {
        systemCall(call, errno: errno, doing, fileID: fileID, line: line)
    }

    /// The error for the system call named `call`, which failed with `number` while `doing`.
    public static func systemCall(
        _ call: String, errno number: CInt, _ doing: String, fileID: String = #fileID, line: Int = #line
    ) -> LXCError {
        let cause = SystemCallError(call, errno: number)
        return LXCError(code(for: number), "cannot \(doing)", cause: cause, fileID: fileID, line: line)
    }

    private static func code(for number: CInt) -> Code {
        switch number {
        case ENOENT, ESRCH: .notFound
        case EEXIST, ENOTEMPTY: .alreadyExists
        case EPERM, EACCES, EROFS: .permissionDenied
        case EBUSY: .inUse
        case ENOSYS, EOPNOTSUPP: .unsupported
        case ETIMEDOUT: .timedOut
        default: .io
        }
    }
}
