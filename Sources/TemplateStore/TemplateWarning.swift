// SPDX-License-Identifier: Apache-2.0

/// A finding about a template that does not prevent its registration, but that its user should know.
public struct TemplateWarning: Hashable, Sendable, Codable, CustomStringConvertible {
    /// The kind of finding.
    public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
        /// The server reported neither the archive's length nor its end, and no checksum was given: a truncated archive
        /// would look the same if its format has no end mark.
        case unverifiedLength
        /// There is no `/sbin/init`, which containers start by default.
        case noInit
        /// Everything is in one directory, below which it looks like the root of a system.
        case oneDirectory
        /// The root of a system is in the directory `rootfs`.
        case rootInside
    }

    /// The kind of finding.
    public var kind: Kind
    /// The same for people, with the remedy.
    public var message: String

    /// Creates a warning.
    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
