// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// The parts of libvirt's `<capabilities>` document that this package uses: which types of domain the host offers.
package struct HostCapabilities: Hashable, Sendable {
    /// The types of domain, whichever architecture they are offered for. Types that this package does not know are left out.
    package let domainTypes: Set<DomainType>

    /// Reads the document.
    ///
    /// - Throws: `LXCError` `corrupt` when it is no such document.
    package init(xml text: String) throws {
        let root = try XMLFragment(xml: text)
        guard root.name == "capabilities" else {
            throw LXCError(.corrupt, "the document is <\(root.name)>, not libvirt's <capabilities>")
        }
        let domains = root.elements(named: "guest").flatMap { $0.elements(named: "arch") }
            .flatMap { $0.elements(named: "domain") }
        domainTypes = Set(domains.compactMap { $0[attribute: "type"].flatMap(DomainType.init(rawValue:)) })
    }
}

extension XMLFragment {
    fileprivate func elements(named name: XMLName) -> [XMLFragment] { elements.filter { $0.name == name } }
}
