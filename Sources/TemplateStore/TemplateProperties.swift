import FileTree
import LXCCore

/// `template.properties` as CloudStack's secondary storage writes and reads it, with this package's keys beside
/// CloudStack's (which keeps keys it does not know).
struct TemplateProperties {
    static let fileName = "template.properties"

    /// The keys of this package: the digest of the tree inside, the checksum of the tar, and what was asked for.
    private static let digestKey = "lxc.tree.digest"
    private static let tarChecksumKey = "lxc.tar.checksum"
    private static let registrationKey = "lxc.registration"

    private(set) var properties: JavaProperties

    /// Reads a file's bytes.
    init(parsing bytes: [UInt8]) throws { properties = try JavaProperties(parsing: bytes) }

    /// The properties of a template registered here, with every key CloudStack needs.
    init(_ template: Template, checksum: Checksum?, tarChecksum: Checksum, registration: String) {
        let size = String(template.size.bytes)
        let values = [
            ("filename", template.fileName), ("id", String(template.key.id)), ("public", String(template.isPublic)),
            ("uniquename", template.name), ("description", template.description),
            ("checksum", checksum?.description ?? ""), ("hvm", "false"), ("size", size), ("virtualsize", size),
            ("tar", "true"), ("tar.filename", template.fileName), ("tar.size", size), ("tar.virtualsize", size),
        ]
        properties = JavaProperties()
        for (key, value) in values { properties[key] = value }
        properties[Self.digestKey] = template.digest?.description
        properties[Self.tarChecksumKey] = tarChecksum.description
        properties[Self.registrationKey] = registration
    }

    /// The fingerprint of the request that made the template; nil where this package did not.
    var registration: String? { properties[Self.registrationKey] }

    /// The checksum of the tar; nil where this package did not store it.
    ///
    /// - Throws: `LXCError` `corrupt`.
    func tarChecksum(_ key: TemplateKey) throws -> Checksum? {
        guard let text = properties[Self.tarChecksumKey] else { return nil }
        do {
            let checksum = try Checksum(parsing: text)
            guard checksum.algorithm == .sha256 else { throw LXCError(.invalidArgument, "it is not of SHA-256") }
            return checksum
        } catch {
            throw LXCError(
                .corrupt, "template \(key) has a bad \(Self.tarChecksumKey) in its \(Self.fileName)", cause: error)
        }
    }

    /// Compares what is said twice. CloudStack reads some of it here and some there.
    ///
    /// - Throws: `LXCError` `corrupt` naming the key.
    func checkConsistency(_ key: TemplateKey) throws {
        let pairs = [
            ("id", String(key.id)), ("filename", properties["tar.filename"]), ("size", properties["tar.size"]),
            ("virtualsize", properties["tar.virtualsize"]),
        ]
        for (name, expected) in pairs {
            guard let found = properties[name], let expected, found != expected else { continue }
            throw LXCError(
                .corrupt,
                "template \(key) has \(name)=\(found.escapedForDisplay) in its \(Self.fileName), where "
                    + "\(expected.escapedForDisplay) is expected")
        }
    }

    /// The file's bytes.
    var bytes: [UInt8] { properties.serialized() }

    /// The template, by CloudStack's rules of what a valid one has.
    ///
    /// - Throws: `LXCError` `corrupt` naming the key that is missing or wrong.
    func template(_ key: TemplateKey) throws -> Template {
        guard properties["tar"] == "true" else {
            throw LXCError(.corrupt, "template \(key) has no tar=true: it is not in tar format")
        }
        let fileName = try required("tar.filename", of: key)
        // Bytes, not characters: a slash with an accent on it is another character and still a slash.
        let bytes = fileName.utf8
        guard !bytes.contains(UInt8(ascii: "/")), !bytes.contains(0), bytes.first != UInt8(ascii: ".") else {
            throw LXCError(.corrupt, "template \(key) names the file \"\(fileName.escapedForDisplay)\"")
        }
        _ = try positive("virtualsize", of: key)
        _ = try positive("tar.virtualsize", of: key)
        return Template(
            key: key, name: try required("uniquename", of: key), description: properties["description"] ?? "",
            fileName: fileName, size: ByteCount(try positive("tar.size", of: key)),
            isPublic: properties["public"] == "true",
            digest: try digest(of: key))
    }

    private func digest(of key: TemplateKey) throws -> TreeDigest? {
        guard let text = properties[Self.digestKey] else { return nil }
        do {
            return try TreeDigest(parsing: text)
        } catch {
            throw LXCError(
                .corrupt, "template \(key) has a bad \(Self.digestKey) in its \(Self.fileName)", cause: error)
        }
    }

    private func required(_ name: String, of key: TemplateKey) throws -> String {
        guard let value = properties[name], !value.isEmpty else {
            throw LXCError(.corrupt, "template \(key) has no \(name) in its \(Self.fileName)")
        }
        return value
    }

    private func positive(_ name: String, of key: TemplateKey) throws -> UInt64 {
        guard let value = UInt64(try required(name, of: key)), value > 0 else {
            throw LXCError(.corrupt, "template \(key) has a bad \(name) in its \(Self.fileName)")
        }
        return value
    }
}
