/// Something about a template that does not keep it from being stored, and that whoever registers it should know.
public struct TemplateWarning: Hashable, Sendable, Codable, CustomStringConvertible {
    /// What is to be known.
    public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
        /// The server said neither how long the archive is nor where it ends, and no checksum was given: one that was cut
        /// short would look the same as far as its format has no end mark.
        case unverifiedLength
        /// There is no `/sbin/init`, which containers start by default.
        case noInit
        /// Everything is in one directory, below which it looks like the root of a system.
        case oneDirectory
        /// The root of a system is in the directory `rootfs`.
        case rootInside
    }

    /// What is to be known.
    public var kind: Kind
    /// The same for people, with what can be done.
    public var message: String

    /// Creates a warning.
    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
