// SPDX-License-Identifier: Apache-2.0

import CLibvirt
import Glibc
import LXCCore

/// The life of domains. Each method is one call of libvirt and its lookup by name; an unknown name is `notFound`.
extension LibvirtConnection {
    /// Stores a domain's definition, or replaces the stored one of the same name and UUID.
    ///
    /// - Throws: `LXCError` `invalidArgument` for a document libvirt refuses. libvirt has no number of its own
    ///   for "name taken by another UUID", so that is `hypervisor`.
    @discardableResult
    public func define(xml: String, validating: Bool = false) async throws -> DomainIdentity {
        try requireNoNUL(xml, "the domain document")
        let flags: UInt32 = validating ? UInt32(VIR_DOMAIN_DEFINE_VALIDATE.rawValue) : 0
        return try await perform(.changing) { (raw: virConnectPtr) in
            guard let domain = virDomainDefineXMLFlags(raw, xml, flags) else {
                throw LXCError.lastLibvirt("define the domain")
            }
            return try DomainHandle(adopting: domain).identity()
        }
    }

    /// Starts a transient domain, which libvirt forgets when it stops.
    ///
    /// - Throws: `LXCError` `invalidArgument` for a document libvirt refuses, `invalidState` when one of the
    ///   name runs already.
    @discardableResult
    public func create(xml: String, options: StartOptions = []) async throws -> DomainIdentity {
        try requireNoNUL(xml, "the domain document")
        return try await perform(.changing) { (raw: virConnectPtr) in
            guard let domain = virDomainCreateXML(raw, xml, options.rawValue) else {
                throw LXCError.lastLibvirt("create the domain")
            }
            return try DomainHandle(adopting: domain).identity()
        }
    }

    /// Starts a defined domain.
    ///
    /// - Throws: `LXCError` `invalidState` when it runs already.
    public func start(_ domain: String, options: StartOptions = []) async throws {
        try await withDomain(domain, .changing) {
            try $0.check(virDomainCreateWithFlags($0.raw, options.rawValue), "start")
        }
    }

    /// Asks the guest to shut down, and returns once it was asked. No method leaves the choice to libvirt, which tries
    /// initctl first for a container.
    public func shutDown(_ domain: String, by methods: ShutdownMethods = []) async throws {
        try await withDomain(domain, .changing) {
            try $0.check(virDomainShutdownFlags($0.raw, methods.rawValue), "shut down")
        }
    }

    /// Asks the guest to reboot, and returns once it was asked.
    public func reboot(_ domain: String, by methods: ShutdownMethods = []) async throws {
        try await withDomain(domain, .changing) { try $0.check(virDomainReboot($0.raw, methods.rawValue), "reboot") }
    }

    /// Stops a domain immediately, without the guest's cooperation.
    ///
    /// - Throws: `LXCError` `invalidState` when it does not run.
    public func destroy(_ domain: String) async throws {
        try await withDomain(domain, .changing) { try $0.check(virDomainDestroy($0.raw), "destroy") }
    }

    /// Freezes a running domain in memory.
    public func suspend(_ domain: String) async throws {
        try await withDomain(domain, .changing) { try $0.check(virDomainSuspend($0.raw), "suspend") }
    }

    /// Lets a frozen domain run on.
    public func resume(_ domain: String) async throws {
        try await withDomain(domain, .changing) { try $0.check(virDomainResume($0.raw), "resume") }
    }

    /// Removes the stored definition; a running domain keeps running and becomes transient.
    public func undefine(_ domain: String) async throws {
        try await withDomain(domain, .changing) { try $0.check(virDomainUndefine($0.raw), "undefine") }
    }

    /// Whether the daemon starts the domain when it starts itself.
    public func isAutostarted(_ domain: String) async throws -> Bool {
        try await withDomain(domain) {
            var autostart: Int32 = 0
            try $0.check(virDomainGetAutostart($0.raw, &autostart), "read the autostart of")
            return autostart != 0
        }
    }

    /// Has the daemon start the domain when it starts itself, or not.
    public func setAutostart(_ domain: String, _ isOn: Bool) async throws {
        try await withDomain(domain, .changing) {
            try $0.check(virDomainSetAutostart($0.raw, isOn ? 1 : 0), "set autostart of")
        }
    }

    /// Sends a signal, 1 to 64, to a process of the domain. LXC's driver accepts only process 1, the container's init.
    ///
    /// - Throws: `LXCError` `invalidArgument` for a process or a signal libvirt does not take.
    public func send(signal: Int32, toProcess process: Int64 = 1, of domain: String) async throws {
        // libvirt's numbers are Linux's x86 numbers, whatever the host is; from 32 on they are the real-time signals.
        guard (1...64).contains(signal) else {
            throw LXCError(.invalidArgument, "\(signal) is not a signal; use 1 to 64")
        }
        try await withDomain(domain, .changing) {
            try $0.check(virDomainSendProcessSignal($0.raw, process, UInt32(signal), 0), "signal")
        }
    }
}

/// Lists the domains and reads their documents.
extension LibvirtConnection {
    /// Every domain of the connection, running or only defined.
    ///
    /// A domain that disappears during the listing is omitted.
    public func domains() async throws -> [DomainSummary] {
        try await perform { (raw: virConnectPtr) in
            var list: UnsafeMutablePointer<virDomainPtr?>?
            let count = virConnectListAllDomains(raw, &list, 0)
            guard count >= 0, let list else { throw LXCError.lastLibvirt("list the domains") }
            defer { free(list) }
            var summaries: [DomainSummary] = []
            var failure: LXCError?
            for index in 0..<Int(count) {
                guard let pointer = list[index] else { continue }
                // Every reference is adopted, also after a failure, so that none leaks.
                let domain = DomainHandle(adopting: pointer)
                do throws(LXCError) {
                    if failure == nil { summaries.append(try domain.summary()) }
                } catch {
                    if error.code != .notFound { failure = error }
                }
            }
            if let failure { throw failure }
            return summaries
        }
    }

    /// The domain of that name.
    public func summary(of domain: String) async throws -> DomainSummary {
        try await withDomain(domain) { try $0.summary() }
    }

    /// The state of the domain and its reason.
    public func status(of domain: String) async throws -> DomainStatus {
        try await withDomain(domain) { try $0.status() }
    }

    /// The domain's document.
    ///
    /// - Throws: `LXCError` `permissionDenied` when secrets are asked for on a read-only connection.
    public func xml(of domain: String, options: XMLOptions = []) async throws -> String {
        try await withDomain(domain) { try $0.xml(options) }
    }

    /// Adds a device, given as its element, to a domain.
    ///
    /// - Throws: `LXCError` `unsupported` or `invalidArgument` where the driver cannot add such a device.
    public func attachDevice(xml: String, to domain: String, affecting impact: ModificationImpact) async throws {
        try requireNoNUL(xml, "the device document")
        try await withDomain(domain, .changing) {
            try $0.check(virDomainAttachDeviceFlags($0.raw, xml, impact.rawValue), "attach a device to")
        }
    }

    /// Detaches a device from a domain; for a NIC libvirt needs only the MAC address of the element.
    ///
    /// - Throws: `LXCError` `notFound` or `invalidArgument` when the domain has no such device.
    public func detachDevice(xml: String, from domain: String, affecting impact: ModificationImpact) async throws {
        try requireNoNUL(xml, "the device document")
        try await withDomain(domain, .changing) {
            try $0.check(virDomainDetachDeviceFlags($0.raw, xml, impact.rawValue), "detach a device from")
        }
    }

    /// Changes a device of a domain in place, as the element describes it.
    public func updateDevice(xml: String, of domain: String, affecting impact: ModificationImpact) async throws {
        try requireNoNUL(xml, "the device document")
        try await withDomain(domain, .changing) {
            try $0.check(virDomainUpdateDeviceFlags($0.raw, xml, impact.rawValue), "update a device of")
        }
    }
}
