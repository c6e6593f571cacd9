// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore

/// `template.properties` as CloudStack's secondary storage writes and reads it, with this package's keys added
/// (CloudStack keeps keys it does not know).
struct TemplateProperties {
    static let fileName = "template.properties"

    /// The keys of this package: the digest of the tree inside, the checksum of the file, and what was asked for.
    private static let digestKey = "lxc.tree.digest"
    private static func checksumKey(_ format: Template.Format) -> String { "lxc.\(format.rawValue).checksum" }
    private static let registrationKey = "lxc.registration"
    private static func warningKey(_ kind: TemplateWarning.Kind) -> String { "lxc.warning.\(kind.rawValue)" }

    private(set) var properties: JavaProperties

    /// Reads a file's bytes.
    init(parsing bytes: [UInt8]) throws { properties = try JavaProperties(parsing: bytes) }

    /// The properties of a template registered here, with every key CloudStack needs.
    init(_ template: Template, checksum: Checksum?, fileChecksum: Checksum, registration: String) {
        let (size, virtualSize) = (String(template.size.bytes), String(template.virtualSize.bytes))
        let format = template.format.rawValue
        let values = [
            ("filename", template.fileName), ("id", String(template.key.id)), ("public", String(template.isPublic)),
            ("uniquename", template.name), ("description", template.summary),
            ("checksum", checksum?.description ?? ""), ("hvm", String(template.format == .qcow2)), ("size", size),
            ("virtualsize", virtualSize), (format, "true"), ("\(format).filename", template.fileName),
            ("\(format).size", size), ("\(format).virtualsize", virtualSize),
        ]
        properties = JavaProperties()
        for (key, value) in values { properties[key] = value }
        properties[Self.digestKey] = template.digest?.description
        properties[Self.checksumKey(template.format)] = fileChecksum.description
        properties[Self.registrationKey] = registration
        for warning in template.warnings { properties[Self.warningKey(warning.kind)] = warning.message }
    }

    /// The fingerprint of the request that made the template; nil where this package did not.
    var registration: String? { properties[Self.registrationKey] }

    /// The format of the template; the first of several.
    private var format: Template.Format? { Template.Format.allCases.first { properties[$0.rawValue] == "true" } }

    /// The SHA-256 of the template's file; nil where this package did not store it.
    ///
    /// - Throws: `LXCError` `corrupt`.
    func fileChecksum(_ key: TemplateKey) throws -> Checksum? {
        guard let name = format.map(Self.checksumKey), let text = properties[name] else { return nil }
        do {
            let checksum = try Checksum(parsing: text)
            guard checksum.algorithm == .sha256 else { throw LXCError(.invalidArgument, "it is not of SHA-256") }
            return checksum
        } catch {
            throw LXCError(
                .corrupt, "template \(key) has a bad \(name) in its \(Self.fileName)", cause: error)
        }
    }

    /// Compares values stated twice. CloudStack reads some of them in one place and some in the other.
    ///
    /// - Throws: `LXCError` `corrupt` naming the key.
    func checkConsistency(_ key: TemplateKey) throws {
        let format = format?.rawValue ?? ""
        let pairs = [
            ("id", String(key.id)), ("filename", properties["\(format).filename"]),
            ("size", properties["\(format).size"]), ("virtualsize", properties["\(format).virtualsize"]),
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

    /// The template, checked by CloudStack's rules.
    ///
    /// - Throws: `LXCError` `corrupt` naming the key that is missing or wrong.
    func template(_ key: TemplateKey) throws -> Template {
        guard let format else {
            throw LXCError(.corrupt, "template \(key) has no tar=true or qcow2=true: it is in neither format")
        }
        let kind = format.rawValue
        let fileName = try required("\(kind).filename", of: key)
        // Bytes, not characters: a slash with an accent on it is another character and still a slash.
        let bytes = fileName.utf8
        guard !bytes.contains(UInt8(ascii: "/")), !bytes.contains(0), bytes.first != UInt8(ascii: ".") else {
            throw LXCError(.corrupt, "template \(key) names the file \"\(fileName.escapedForDisplay)\"")
        }
        _ = try positive("virtualsize", of: key)
        let virtualSize = ByteCount(try positive("\(kind).virtualsize", of: key))
        var template = Template(
            key: key, name: try required("uniquename", of: key), summary: properties["description"] ?? "",
            format: format, fileName: fileName, size: ByteCount(try positive("\(kind).size", of: key)),
            virtualSize: virtualSize, isPublic: properties["public"] == "true",
            digest: try digest(of: key))
        template.warnings = TemplateWarning.Kind.allCases.compactMap { kind in
            properties[Self.warningKey(kind)].map { TemplateWarning(kind, $0) }
        }
        return template
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
