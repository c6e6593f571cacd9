// SPDX-License-Identifier: Apache-2.0

/// A place a root file system can be read from: an archive, a directory, an NFS tree.
///
/// A value that can be kept and passed on; reading starts when a copy opens it.
public protocol TreeOrigin: Sendable, CustomStringConvertible {
    /// Opens the tree for one reading, on a thread that may block.
    ///
    /// - Throws: `LXCError` `notFound`, `permissionDenied`, `corrupt`; `CancellationError`.
    func openForReading(_ opening: TreeOpening) throws -> any TreeSource
}

/// One reading of a tree: entries in sequence, each followed by its contents.
///
/// Used by one thread, which it may block. A parent directory comes before its children where the origin has an entry
/// for it; an archive may leave it out, may name an entry twice (the last one counts), and names a hard link's target
/// before the link.
public protocol TreeSource: AnyObject {
    /// The next entry, or `nil` after the last. Unread contents of the previous entry are skipped.
    ///
    /// - Throws: `LXCError` `corrupt` for damaged input, also when it is truncated; `unsafe`; `limitExceeded`.
    func next() throws -> TreeEntry?

    /// The next piece of the contents of the file ``next()`` last returned; nil after the last. Pieces ascend and do
    /// not overlap; gaps between them, and from the last to the file's size, are holes.
    func nextPiece() throws -> TreePiece?

    /// Bytes read from the underlying medium so far, and their total number if known: for progress.
    var position: (read: UInt64, total: UInt64?) { get }

    /// The objects the source left out, such as sockets.
    var losses: TreeLosses { get }
}

/// A piece of a file's contents.
public struct TreePiece: Sendable {
    /// The offset of the first byte in the file.
    public var offset: UInt64
    /// The bytes; at least one.
    public var bytes: SharedBytes

    /// Creates a tree piece.
    public init(offset: UInt64, bytes: SharedBytes) {
        self.offset = offset
        self.bytes = bytes
    }
}

/// A place a root file system can be written to.
public protocol TreeDestination: Sendable, CustomStringConvertible {
    /// Opens the destination for one writing, on a thread that may block.
    ///
    /// - Throws: `LXCError` `alreadyExists`, `notFound`, `permissionDenied`, `unsupported`; `CancellationError`.
    func openForWriting(_ opening: TreeOpening) throws -> any TreeSink

    /// Refuses a destination inside `origin`: a copy to it would read its own output. Called before either is opened. The
    /// default implementation accepts every origin.
    ///
    /// - Throws: `LXCError` `invalidArgument`.
    func refuseInside(_ origin: any TreeOrigin) throws
}

extension TreeDestination {
    /// Accepts every origin.
    public func refuseInside(_ origin: any TreeOrigin) throws {}
}

/// One writing of a tree.
///
/// Used by one thread, which it may block; work passed to its own threads may fail at any later call, at the latest in
/// ``finish()``. Owners in the entries are the destination's own: the copy has applied the id maps. Nothing is visible
/// at the destination before ``finish()`` returns. With `lossless` among the options a loss is an error.
public protocol TreeSink: AnyObject {
    /// Starts an entry after its parents. An existing entry is replaced, except that a repeated directory only changes
    /// its attributes.
    ///
    /// - Parameters:
    ///   - entry: the entry to make.
    ///   - isNew: whether the name is new. New entries can be made in any order, except that a hard link comes after
    ///     its target and everything after its parent.
    /// - Throws: `LXCError` `io`, `unsafe`, `lossRefused` and other errors of the destination, about this entry or an
    ///   earlier one.
    func begin(_ entry: TreeEntry, isNew: Bool) throws
    /// Writes a piece of the contents of the regular file in progress.
    func write(_ piece: TreePiece) throws
    /// Completes the entry in progress.
    func end() throws
    /// Makes everything durable and visible.
    func finish() throws
    /// Removes everything written. Called instead of ``finish()`` after a failure or cancellation.
    func abandon()
    /// The parts the destination could not store; complete once ``finish()`` has returned.
    var losses: TreeLosses { get }
    /// The way contents were written, for the summary: `write`, `copy_file_range`, `reflink`, `snapshot`.
    var strategy: String { get }
}
