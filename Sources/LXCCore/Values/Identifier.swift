// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials

/// A UUID that names one kind of object, so that a volume's cannot be passed for a template's.
///
/// Printed and stored in lower case, as CloudStack writes directory names on primary storage.
public struct Identifier<Subject>: Hashable, Sendable, Codable, CustomStringConvertible, Comparable {
    /// The UUID itself.
    public let uuid: UUID

    /// Wraps a UUID.
    public init(_ uuid: UUID) { self.uuid = uuid }

    /// A new random identifier.
    public static func random() -> Self { Self(UUID()) }

    /// Reads the canonical text form.
    ///
    /// - Throws: ``LXCError`` with code `invalidArgument` when `text` is not 8-4-4-4-12 hexadecimal digits.
    public init(parsing text: String) throws {
        // Foundation accepts blanks, signs and `0x` as digits, so the text is compared with the result.
        guard let uuid = UUID(uuidString: text), uuid.uuidString.lowercased().utf8.elementsEqual(text.lowercased().utf8)
        else {
            throw LXCError(
                .invalidArgument,
                "\"\(text.escapedForDisplay)\" is not a UUID; expected the form 8-4-4-4-12, as "
                    + "402b0be5-b840-3fef-b292-d330f3bf809a")
        }
        self.uuid = uuid
    }

    /// The canonical text in lower case.
    public var description: String { uuid.uuidString.lowercased() }

    /// Orders by text, so that listings are stable.
    public static func < (left: Self, right: Self) -> Bool { left.description < right.description }

    /// Reads the canonical text form.
    public init(from decoder: any Decoder) throws {
        try self.init(parsing: String(from: decoder))
    }

    /// Writes the canonical text form.
    public func encode(to encoder: any Encoder) throws {
        try description.encode(to: encoder)
    }
}

/// The subject of a ``PoolID``: one primary store.
public enum PoolSubject {}
/// The subject of a ``TemplateID``: a template unpacked on primary storage.
public enum TemplateSubject {}
/// The subject of a ``VolumeID``: a container's root volume.
public enum VolumeSubject {}

/// Names a primary store.
public typealias PoolID = Identifier<PoolSubject>
/// Names a template on primary storage.
public typealias TemplateID = Identifier<TemplateSubject>
/// Names a volume on primary storage.
public typealias VolumeID = Identifier<VolumeSubject>
