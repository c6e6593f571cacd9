// SPDX-License-Identifier: Apache-2.0

import CLibvirt
import Glibc
import LXCCore

/// Network filters, which libvirt applies to the interfaces that refer to them.
extension LibvirtConnection {
    /// Stores a filter, or replaces the stored one of the same name and UUID: guests that use it are under the new rules
    /// when this returns.
    ///
    /// - Throws: `LXCError` `invalidArgument` for a document libvirt refuses, `hypervisor` when the rules of a running
    ///   guest cannot be changed.
    public func defineNetworkFilter(xml: String) async throws {
        try requireNoNUL(xml, "the network filter document")
        try await perform(.changing) { (raw: virConnectPtr) in
            guard let filter = virNWFilterDefineXML(raw, xml) else {
                throw LXCError.lastLibvirt("define the network filter")
            }
            virNWFilterFree(filter)
        }
    }

    /// Removes a filter. Does nothing if there is no such filter.
    ///
    /// - Throws: `LXCError` `invalidState` or `hypervisor` while an interface of a running guest uses it.
    public func undefineNetworkFilter(_ name: String) async throws {
        try requireNoNUL(name, "the network filter's name")
        try await perform(.changing) { (raw: virConnectPtr) in
            guard let filter = virNWFilterLookupByName(raw, name) else {
                let error = LXCError.lastLibvirt("find the network filter \(name.escapedForDisplay)")
                if error.code == .notFound { return }
                throw error
            }
            defer { virNWFilterFree(filter) }
            guard virNWFilterUndefine(filter) == 0 else {
                throw LXCError.lastLibvirt("remove the network filter \(name.escapedForDisplay)")
            }
        }
    }

    /// The names of all filters, sorted.
    public func networkFilters() async throws -> [String] {
        try await perform { (raw: virConnectPtr) in
            var list: UnsafeMutablePointer<virNWFilterPtr?>?
            let count = virConnectListAllNWFilters(raw, &list, 0)
            guard count >= 0, let list else { throw LXCError.lastLibvirt("list the network filters") }
            defer { free(list) }
            return (0..<Int(count)).compactMap { index in
                guard let filter = list[index] else { return nil }
                defer { virNWFilterFree(filter) }
                return virNWFilterGetName(filter).map { String(cString: $0) }
            }.sorted()
        }
    }
}
