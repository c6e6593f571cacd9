// SPDX-License-Identifier: Apache-2.0

import CLibvirt
import LXCCore

/// A program's own element in a domain's `<metadata>`, which libvirt stores without interpreting it.
extension LibvirtConnection {
    /// The element of a namespace in a domain's metadata, as a document, or `nil`.
    public func metadata(
        of domain: String, namespace: String, affecting impact: ModificationImpact = []
    ) async throws -> String? {
        try requireNoNUL(namespace, "the namespace")
        let kind = Int32(VIR_DOMAIN_METADATA_ELEMENT.rawValue)
        return try await withDomain(domain) { domain in
            if let xml = virDomainGetMetadata(domain.raw, kind, namespace, impact.rawValue) { return takeString(xml) }
            let error = LXCError.lastLibvirt("read the metadata of the \(domain.shown)")
            let cause = error.cause as? LibvirtError
            if cause?.code == Int32(VIR_ERR_NO_DOMAIN_METADATA.rawValue) { return nil }
            throw error
        }
    }

    /// Replaces the element of a namespace in a domain's metadata; nil removes it. `prefix` is the namespace's prefix
    /// in the document.
    ///
    /// - Throws: `LXCError` `invalidArgument` for text that is not one XML element.
    public func setMetadata(
        _ xml: String?, of domain: String, namespace: String, prefix: String, affecting impact: ModificationImpact
    ) async throws {
        for text in [xml, namespace, prefix].compactMap(\.self) { try requireNoNUL(text, "the metadata") }
        let kind = Int32(VIR_DOMAIN_METADATA_ELEMENT.rawValue)
        try await withDomain(domain, .changing) {
            let result = virDomainSetMetadata($0.raw, kind, xml, prefix, namespace, impact.rawValue)
            try $0.check(result, "change the metadata of")
        }
    }
}
