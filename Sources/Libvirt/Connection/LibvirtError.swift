// SPDX-License-Identifier: Apache-2.0

import CLibvirt
import LXCCore

/// An error as libvirt reported it: the cause of the `LXCError` this module throws.
public struct LibvirtError: Error, Hashable, Sendable, CustomStringConvertible {
    /// libvirt's error number, a `virErrorNumber` such as 42 for `VIR_ERR_NO_DOMAIN`.
    public let code: Int32
    /// The part of libvirt that reported it, a `virErrorDomain` such as 17 for the LXC driver.
    public let domain: Int32
    /// The severity, a `virErrorLevel`: 1 warning, 2 error.
    public let level: Int32
    /// libvirt's own words, as they came: escape them before showing them.
    public let message: String

    /// Creates a libvirt error.
    public init(code: Int32, domain: Int32, level: Int32, message: String) {
        self.code = code
        self.domain = domain
        self.level = level
        self.message = message
    }

    /// The last error of this thread. libvirt stores it per thread, so it must be read in the same synchronous stretch
    /// as the failed call.
    static func takeLast() -> LibvirtError? {
        guard let last = virGetLastError() else { return nil }
        defer { virResetLastError() }
        let error = last.pointee
        return LibvirtError(
            code: error.code, domain: error.domain, level: Int32(error.level.rawValue),
            message: error.message.map { String(cString: $0) } ?? "no message")
    }

    /// libvirt's words on one line, and the number.
    public var description: String { "\(message.escapedForDisplay(atMost: 1_000)) [libvirt \(domain):\(code)]" }
}

extension LXCError {
    /// The error for a libvirt call that has just failed on this thread; `doing` says what was being done to which
    /// object, as in `start the domain "web"`.
    static func lastLibvirt(_ doing: String, fileID: String = #fileID, line: Int = #line) -> LXCError {
        let cause = LibvirtError.takeLast()
        return LXCError(
            cause?.lxcCode ?? .hypervisor, "cannot \(doing)", cause: cause, fileID: fileID, line: line)
    }
}

extension LibvirtError {
    /// The equivalent code of this package.
    var lxcCode: LXCError.Code {
        switch virErrorNumber(rawValue: UInt32(bitPattern: code)) {
        case VIR_ERR_NO_DOMAIN, VIR_ERR_NO_NETWORK, VIR_ERR_NO_STORAGE_POOL, VIR_ERR_NO_STORAGE_VOL,
            VIR_ERR_NO_NODE_DEVICE, VIR_ERR_NO_INTERFACE, VIR_ERR_NO_NWFILTER, VIR_ERR_NO_SECRET,
            VIR_ERR_NO_DOMAIN_METADATA, VIR_ERR_NO_DOMAIN_SNAPSHOT, VIR_ERR_DEVICE_MISSING:
            .notFound
        case VIR_ERR_DOM_EXIST, VIR_ERR_NETWORK_EXIST, VIR_ERR_STORAGE_VOL_EXIST: .alreadyExists
        case VIR_ERR_OPERATION_INVALID: .invalidState
        case VIR_ERR_RESOURCE_BUSY: .inUse
        case VIR_ERR_NO_SUPPORT, VIR_ERR_OPERATION_UNSUPPORTED, VIR_ERR_ARGUMENT_UNSUPPORTED: .unsupported
        case VIR_ERR_AUTH_FAILED, VIR_ERR_AUTH_CANCELLED, VIR_ERR_AUTH_UNAVAILABLE, VIR_ERR_ACCESS_DENIED,
            VIR_ERR_OPERATION_DENIED:
            .permissionDenied
        case VIR_ERR_XML_ERROR, VIR_ERR_XML_DETAIL, VIR_ERR_XML_INVALID_SCHEMA, VIR_ERR_CONFIG_UNSUPPORTED,
            VIR_ERR_INVALID_ARG, VIR_ERR_INVALID_MAC, VIR_ERR_OS_TYPE, VIR_ERR_NO_NAME, VIR_ERR_NO_OS:
            .invalidArgument
        case VIR_ERR_OPERATION_TIMEOUT, VIR_ERR_AGENT_UNRESPONSIVE: .timedOut
        case VIR_ERR_NO_CONNECT, VIR_ERR_INVALID_CONN: .unavailable
        default: .hypervisor
        }
    }
}
