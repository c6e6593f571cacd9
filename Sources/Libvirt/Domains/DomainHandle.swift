// SPDX-License-Identifier: Apache-2.0

import CLibvirt
import FoundationEssentials
import LXCCore

/// Owns one reference to a domain; every method is one libvirt call and blocks.
struct DomainHandle: ~Copyable {
    let raw: virDomainPtr
    /// The name for errors, with the object's kind: `domain "web"`.
    let shown: String

    init(named name: String, on connection: virConnectPtr) throws(LXCError) {
        shown = "domain \"\(name.escapedForDisplay)\""
        guard let raw = virDomainLookupByName(connection, name) else { throw .lastLibvirt("find the \(shown)") }
        self.raw = raw
    }

    /// Creates a handle that owns a reference returned by libvirt.
    init(adopting raw: virDomainPtr) {
        self.raw = raw
        shown = "domain \"\(virDomainGetName(raw).map { String(cString: $0).escapedForDisplay } ?? "")\""
    }

    deinit { virDomainFree(raw) }

    /// Throws what libvirt said about a call that gave `result`.
    borrowing func check(_ result: Int32, _ doing: String) throws(LXCError) {
        if result < 0 { throw .lastLibvirt("\(doing) the \(shown)") }
    }

    borrowing func identity() throws(LXCError) -> DomainIdentity {
        guard let name = virDomainGetName(raw) else { throw .lastLibvirt("read the name of the \(shown)") }
        var bytes: uuid_t = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        let result = withUnsafeMutableBytes(of: &bytes) { buffer in
            buffer.withMemoryRebound(to: UInt8.self) { virDomainGetUUID(raw, $0.baseAddress) }
        }
        try check(result, "read the UUID of")
        let id = virDomainGetID(raw)
        return DomainIdentity(
            name: String(cString: name), uuid: UUID(uuid: bytes), id: id == .max ? nil : Int32(bitPattern: id))
    }

    borrowing func status() throws(LXCError) -> DomainStatus {
        var state: Int32 = 0
        var reason: Int32 = 0
        try check(virDomainGetState(raw, &state, &reason, 0), "read the state of")
        return DomainStatus(state: DomainState(state), reason: reason)
    }

    borrowing func summary() throws(LXCError) -> DomainSummary {
        let persistent = virDomainIsPersistent(raw)
        try check(persistent, "read the kind of")
        return try DomainSummary(identity: identity(), state: status().state, isPersistent: persistent == 1)
    }

    borrowing func info() throws(LXCError) -> DomainInfo {
        var info = virDomainInfo()
        try check(virDomainGetInfo(raw, &info), "read the usage of")
        return DomainInfo(
            state: DomainState(Int32(info.state)), maximumMemory: .kibibytes(UInt64(info.maxMem)),
            memory: .kibibytes(UInt64(info.memory)), virtualCPUs: Int(info.nrVirtCpu), cpuTime: info.cpuTime)
    }

    borrowing func xml(_ options: XMLOptions) throws(LXCError) -> String {
        guard let xml = virDomainGetXMLDesc(raw, options.rawValue) else {
            throw .lastLibvirt("read the document of the \(shown)")
        }
        return takeString(xml)
    }
}
