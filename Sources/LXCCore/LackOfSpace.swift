// SPDX-License-Identifier: Apache-2.0

/// A failure underneath an ``LXCError`` that may be caused by a lack of space.
package protocol SpaceFailure: Error {
    /// Whether the file system is full, has no inode left, or the quota is used up.
    var isLackOfSpace: Bool { get }
}

extension LXCError {
    /// Whether this failed because the file system is full, has no inode left, or the quota is used up.
    package var isLackOfSpace: Bool {
        switch cause {
        case let cause as any SpaceFailure: cause.isLackOfSpace
        case let cause as LXCError: cause.isLackOfSpace
        default: false
        }
    }
}
