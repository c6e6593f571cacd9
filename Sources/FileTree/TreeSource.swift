import LXCCore

/// Somewhere a root filesystem can be read from: an archive, a directory, an NFS tree.
///
/// A value that can be kept and passed on; reading starts when a copy opens it.
public protocol TreeOrigin: Sendable, CustomStringConvertible {
    /// Opens the tree for one reading, on a thread that may block.
    ///
    /// - Throws: `LXCError` `notFound`, `permissionDenied`, `corrupt`.
    func open(limits: TreeLimits) throws -> any TreeSource
}

/// One reading of a tree: entries in sequence, each followed by its contents.
///
/// Used by one thread, which it may block. A parent directory comes before its children where the origin has an entry
/// for it; an archive may leave it out, may name an entry twice (the last one counts), and names a hard link's target
/// before the link.
public protocol TreeSource: AnyObject {
    /// The next entry, or nil after the last. Contents of the entry before that were not read are skipped.
    ///
    /// - Throws: `LXCError` `corrupt` for damaged input, also when it ends before its end; `unsafe`; `limitExceeded`.
    func next() throws -> TreeEntry?

    /// Hands the next piece of the contents of the file ``next()`` last returned to `body`, and says whether there was
    /// one. Pieces ascend and do not overlap; what lies between them, and from the last to the file's size, is a hole.
    /// The bytes are valid only inside `body`.
    func readPiece(_ body: (_ offset: UInt64, _ bytes: UnsafeRawBufferPointer) throws -> Void) throws -> Bool

    /// Bytes read from the underlying medium so far, and how many there are where that is known: for progress.
    var position: (read: UInt64, total: UInt64?) { get }

    /// What the source had to leave out, such as sockets.
    var losses: TreeLosses { get }
}

/// Somewhere a root filesystem can be written to.
public protocol TreeDestination: Sendable, CustomStringConvertible {
    /// Opens the destination for one writing, on a thread that may block.
    ///
    /// - Throws: `LXCError` `alreadyExists`, `notFound`, `permissionDenied`, `unsupported`.
    func open(options: TreeCopyOptions) throws -> any TreeSink
}

/// One writing of a tree.
///
/// Used by one thread, which it may block. Owners in the entries are the destination's own: the copy has applied the
/// id maps. Nothing is visible at the destination before ``finish()`` returns.
public protocol TreeSink: AnyObject {
    /// Starts an entry. Missing parents are made with mode 0755, owner 0:0 and time 0. An entry that is there already is
    /// replaced, except that a directory over a directory only changes its attributes.
    func begin(_ entry: TreeEntry) throws
    /// Writes a piece of the contents of the regular file last begun.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws
    /// Completes the entry last begun.
    func end() throws
    /// Makes everything durable and visible.
    func finish() throws
    /// Removes everything written. Called instead of ``finish()`` after a failure or cancellation.
    func abandon()
    /// What the destination could not hold.
    var losses: TreeLosses { get }
    /// How contents were written, for the summary: `write`, `copy_file_range`, `reflink`, `snapshot`.
    var strategy: String { get }
}
