// SPDX-License-Identifier: Apache-2.0

/// The error this package throws.
///
/// Switch on ``code``, show ``message`` to a person, log ``cause`` and ``location``. The message names the object
/// concerned and, where there is one, the remedy. Two other errors leave the package: `CancellationError`, and the
/// `DecodingError` of `Decodable` types that do not promise an `LXCError`.
public struct LXCError: Error, Sendable, CustomStringConvertible {
    /// The kind of failure. A minor release may add codes.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The code's stable name, as printed in JSON output and logs.
        public let description: String

        private init(_ name: String) { description = name }

        /// The named object does not exist.
        public static let notFound = Code("notFound")
        /// A different object of that name exists already.
        public static let alreadyExists = Code("alreadyExists")
        /// The object is leased or running elsewhere, or another object depends on it.
        public static let inUse = Code("inUse")
        /// A value given by the caller breaks a rule the message states.
        public static let invalidArgument = Code("invalidArgument")
        /// The object is in a state that does not allow this operation.
        public static let invalidState = Code("invalidState")
        /// The daemon, server or device cannot be reached.
        public static let unavailable = Code("unavailable")
        /// The kernel, the daemon or this driver does not offer the operation.
        public static let unsupported = Code("unsupported")
        /// The process lacks a privilege.
        public static let permissionDenied = Code("permissionDenied")
        /// The input is damaged: truncated, corrupt, or its checksum does not match.
        public static let corrupt = Code("corrupt")
        /// The input is well formed but would do harm, and was refused.
        public static let unsafe = Code("unsafe")
        /// A limit given by the caller, or its default, was reached.
        public static let limitExceeded = Code("limitExceeded")
        /// The destination cannot hold part of the source and the caller asked for a lossless copy.
        public static let lossRefused = Code("lossRefused")
        /// A system call failed in a way no other code describes.
        public static let io = Code("io")
        /// The time allowed for the operation ran out.
        public static let timedOut = Code("timedOut")
        /// libvirt reported a failure no other code describes.
        public static let hypervisor = Code("hypervisor")
    }

    /// The kind of failure.
    public let code: Code
    /// One line that names the object and the remedy.
    public let message: String
    /// The failure underneath: a ``SystemCallError``, a libvirt error, another `LXCError`.
    public let cause: (any Error)?
    /// The place in this package that created the error, as `Module/File.swift:line`.
    public let location: String

    /// Makes an error; the location is the caller's.
    public init(
        _ code: Code, _ message: String, cause: (any Error)? = nil, fileID: String = #fileID, line: Int = #line
    ) {
        self.code = code
        self.message = message
        self.cause = cause
        self.location = "\(fileID):\(line)"
    }

    /// The message, followed by the cause in parentheses, on one line: causes of others may bring text from outside.
    public var description: String { cause.map { "\(message) (\(Self.words(of: $0).onOneLine))" } ?? message }

    /// Foundation's description of a decoding failure is for programmers.
    private static func words(of cause: any Error) -> String { (cause as? DecodingError)?.words ?? "\(cause)" }
}
