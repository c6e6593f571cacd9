// SPDX-License-Identifier: Apache-2.0

public import LXCCore
public import LibvirtXML
import OpenSSL

extension NIC {
    /// The interface of a kind with all properties of the NIC: the result of a driver.
    ///
    /// - Parameters:
    ///   - kind: the guest's connection.
    ///   - guest: the guest.
    ///   - target: the name of the host's end of the cable, ``hostDevice(of:)``; nil for a kind without one.
    /// - Returns: the interface, checked as it will be when the document is written.
    /// - Throws: `LXCError` `invalidArgument` as ``check()``, and when a part cannot be written into a domain document.
    public func interface(_ kind: Interface.Kind, of guest: GuestName, target: String?) throws -> Interface {
        try check()
        var interface = Interface(kind, mac: mac)
        interface.model = model
        interface.targetDevice = target
        interface.guestDevice = "eth\(deviceID)"
        interface.mtu = mtu
        // libvirt switches on in a container only what says so.
        interface.linkState = .up
        interface.isPortIsolated = isIsolated
        interface.filter = filterReference(of: guest)
        interface.bandwidth = try bandwidth()
        _ = try interface.xml()
        return interface
    }

    /// The filter by name, or the one made for this NIC alone.
    private func filterReference(of guest: GuestName) -> Interface.FilterReference? {
        guard security != nil else { return filter.map { Interface.FilterReference($0, parameters: parameters) } }
        return Interface.FilterReference(networkFilterName(of: guest))
    }

    /// The name for the host's end of the cable: the same for the same guest and NIC, never another guest's, and never
    /// one libvirt would choose itself. libvirt removes names of its own pattern from documents.
    public func hostDevice(of guest: GuestName) -> String {
        let digest = MessageDigest.hash(data: Array("\(guest):\(deviceID)".utf8), with: .sha256)
        return "lx" + digest.prefix(6).hexadecimal.prefix(11)
    }

    private var parameters: [Interface.FilterReference.Parameter] {
        filterParameters.sorted { $0.key < $1.key }.flatMap { name, values in
            values.map { Interface.FilterReference.Parameter(name, $0) }
        }
    }

    /// CloudStack's reckoning: a megabit a second is 128 of libvirt's units of 1024 bytes a second, and the peak is no
    /// more than the average.
    private func bandwidth() throws -> Interface.Bandwidth? {
        guard let rate = try checkedRate() else { return nil }
        let limit = Interface.Rate(average: rate * 128, peak: rate * 128)
        return Interface.Bandwidth(inbound: limit, outbound: limit)
    }
}
