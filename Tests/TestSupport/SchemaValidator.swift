// SPDX-License-Identifier: Apache-2.0

import CLibXML2
import Glibc
import Synchronization

/// Why a document is not one that libvirt's schema allows.
public struct SchemaViolation: Error, CustomStringConvertible {
    /// The validator's complaints, one a line.
    public let description: String
}

/// Checks a document against one of libvirt's own RELAX NG schemas.
///
/// The schemas come with the library libvirt itself (package libvirt0 on Debian), not with its development files.
///
/// - Parameters:
///   - xml: the document.
///   - schema: the schema's name, such as `domain`, `network` or `storagepool`.
/// - Throws: ``SchemaViolation`` when the document does not follow the schema, or the schema cannot be read.
public func validateAgainstLibvirtSchema(_ xml: String, schema: String = "domain") throws {
    try schemas.withLock { schemas in
        let loaded = try schemas[schema] ?? Schema(named: schema)
        schemas[schema] = loaded
        try loaded.validate(xml)
    }
}

/// Reading a schema takes about a second, so each is read once. libxml2 does not promise that one schema can be used
/// by several threads at once; the lock makes sure that none is.
private let schemas = Mutex<[String: Schema]>([:])

/// Owns one schema. Only used inside the lock above, which makes it safe to send.
private final class Schema: @unchecked Sendable {
    private let raw: xmlRelaxNGPtr

    init(named name: String) throws {
        let path = "/usr/share/libvirt/schemas/\(name).rng"
        guard access(path, R_OK) == 0, let parser = xmlRelaxNGNewParserCtxt(path) else {
            throw SchemaViolation(description: "cannot open the schema \(path)")
        }
        defer { xmlRelaxNGFreeParserCtxt(parser) }
        guard let raw = xmlRelaxNGParse(parser) else {
            throw SchemaViolation(description: "cannot read the schema \(path)")
        }
        self.raw = raw
    }

    deinit { xmlRelaxNGFree(raw) }

    func validate(_ xml: String) throws {
        let options = CInt(XML_PARSE_NONET.rawValue | XML_PARSE_NOERROR.rawValue | XML_PARSE_NOWARNING.rawValue)
        guard let document = xmlReadMemory(xml, CInt(xml.utf8.count), nil, "UTF-8", options) else {
            throw SchemaViolation(description: "not well-formed XML: \(xml)")
        }
        defer { xmlFreeDoc(document) }
        guard let context = xmlRelaxNGNewValidCtxt(raw) else {
            throw SchemaViolation(description: "no memory for a validation")
        }
        defer { xmlRelaxNGFreeValidCtxt(context) }
        let complaints = Complaints()
        xmlRelaxNGSetValidStructuredErrors(
            context,
            { complaints, error in
                guard let complaints, let error, let message = error.pointee.message else { return }
                Unmanaged<Complaints>.fromOpaque(complaints).takeUnretainedValue()
                    .add("line \(error.pointee.line): \(String(cString: message))")
            }, Unmanaged.passUnretained(complaints).toOpaque())
        let result = withExtendedLifetime(complaints) { xmlRelaxNGValidateDoc(context, document) }
        guard result == 0 else { throw SchemaViolation(description: complaints.text + xml) }
    }
}

private final class Complaints {
    private(set) var text = ""

    func add(_ complaint: String) { text += complaint }
}
