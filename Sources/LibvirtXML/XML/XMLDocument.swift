// SPDX-License-Identifier: Apache-2.0

import CLibXML2
import Glibc
import LXCCore
import LinuxSystem

/// Owns one libxml2 document. Its nodes are borrowed: they live as long as the document.
struct XMLDocument: ~Copyable {
    private let raw: xmlDocPtr

    /// libxml2 asks to be initialised once, before threads use it.
    private static let isInitialised: Bool = {
        xmlInitParser()
        return true
    }()

    /// A document without an element yet.
    init() throws {
        guard Self.isInitialised, let raw = xmlNewDoc("1.0") else { throw LXCError.outOfMemory }
        self.raw = raw
    }

    /// Reads a document.
    init(parsing text: String) throws {
        guard text.utf8.count <= XMLLimits.bytes else {
            throw LXCError(
                .limitExceeded,
                "the document has \(text.utf8.count) bytes; at most \(XMLLimits.bytes) are read")
        }
        var report = clibxml2_report()
        var text = text
        let document = text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { bytes in
                Self.isInitialised
                    ? clibxml2_read(bytes.baseAddress, CInt(bytes.count), CInt(XMLLimits.depth), &report) : nil
            }
        }
        guard let document else { throw LXCError.reading(report) }
        raw = document
    }

    deinit { xmlFreeDoc(raw) }

    /// The document's element; nil in a document without one.
    var root: xmlNodePtr? { xmlDocGetRootElement(raw) }

    /// Makes an element the document's own.
    func setRoot(_ node: xmlNodePtr) { xmlDocSetRootElement(raw, node) }

    /// The document as text, indented, without an XML declaration (UTF-8 needs none, and libvirt writes none).
    func text() throws -> String {
        guard let buffer = xmlBufferCreate() else { throw LXCError.outOfMemory }
        defer { xmlBufferFree(buffer) }
        let options = CInt(XML_SAVE_FORMAT.rawValue | XML_SAVE_NO_DECL.rawValue)
        guard let saving = xmlSaveToBuffer(buffer, "UTF-8", options) else { throw LXCError.outOfMemory }
        let saved = xmlSaveDoc(saving, raw)
        guard xmlSaveClose(saving) >= 0, saved >= 0, let bytes = xmlBufferContent(buffer) else {
            throw LXCError.outOfMemory
        }
        let count = Int(xmlBufferLength(buffer))
        guard count <= XMLLimits.bytes else {
            throw LXCError(
                .limitExceeded, "the document would have \(count) bytes; at most \(XMLLimits.bytes) are written")
        }
        return String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }
}

extension LXCError {
    static var outOfMemory: LXCError { .systemCall("malloc", errno: ENOMEM, "hold the document in memory") }

    fileprivate static func reading(_ report: clibxml2_report) -> LXCError {
        switch report.problem {
        case CLIBXML2_DOCTYPE:
            LXCError(
                .unsafe, "line \(report.line) of the document has a DOCTYPE, which could declare entities; remove it")
        case CLIBXML2_TOO_DEEP:
            LXCError(
                .limitExceeded,
                "line \(report.line) of the document opens more than \(XMLLimits.depth) elements inside each other")
        case CLIBXML2_NO_MEMORY: outOfMemory
        default: LXCError(.corrupt, "line \(report.line) of the document is not well-formed XML: \(report.reason)")
        }
    }
}

extension clibxml2_report {
    /// libxml2's words for the first error.
    fileprivate var reason: String {
        withUnsafeBytes(of: message) { bytes in
            let text = String(escapingForDisplay: bytes.prefix { $0 != 0 })
            return text.isEmpty ? "it ends too early" : text
        }
    }
}
