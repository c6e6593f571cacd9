import LXCCore
import LibvirtXML
import OpenSSL

extension NIC {
    /// The interface of a kind with all the NIC says, checked as it will be when the document is written.
    func interface(_ kind: Interface.Kind, of guest: GuestName, target: String?) throws -> Interface {
        guard (0...65535).contains(deviceID) else {
            throw LXCError(.invalidArgument, "a NIC's device id cannot be \(deviceID); use 0 to 65535")
        }
        guard filter != nil || filterParameters.isEmpty else {
            throw LXCError(.invalidArgument, "NIC \(deviceID) has filter parameters but no filter; name the filter")
        }
        var interface = Interface(kind, mac: mac)
        interface.model = model
        interface.targetDevice = target
        interface.guestDevice = "eth\(deviceID)"
        interface.mtu = mtu
        // libvirt switches on in a container only what says so.
        interface.linkState = .up
        interface.isPortIsolated = isIsolated
        interface.filter = try filterReference(of: guest)
        interface.bandwidth = try bandwidth()
        _ = try interface.xml()
        return interface
    }

    /// The filter by name, or the one made for this NIC alone.
    private func filterReference(of guest: GuestName) throws -> Interface.FilterReference? {
        guard let security else { return filter.map { Interface.FilterReference($0, parameters: parameters) } }
        guard filter == nil else {
            throw LXCError(.invalidArgument, "NIC \(deviceID) has a filter and security rules; leave one of them out")
        }
        guard mac != nil else { throw Self.needsAddress(deviceID) }
        try security.check()
        return Interface.FilterReference(networkFilterName(of: guest))
    }

    /// The name of the host's end of the cable: the same for the same guest and NIC, never another guest's, and never
    /// one libvirt would choose itself. libvirt takes names of its own making out of a document it is given.
    func hostDevice(of guest: GuestName) -> String {
        let digest = MessageDigest.hash(data: Array("\(guest):\(deviceID)".utf8), with: .sha256)
        let digits = digest.prefix(6).map { byte in
            byte < 16 ? "0" + String(byte, radix: 16) : String(byte, radix: 16)
        }
        return "lx" + digits.joined().prefix(11)
    }

    private var parameters: [Interface.FilterReference.Parameter] {
        filterParameters.sorted { $0.key < $1.key }.flatMap { name, values in
            values.map { Interface.FilterReference.Parameter(name, $0) }
        }
    }

    /// CloudStack's reckoning: a megabit a second is 128 of libvirt's units of 1024 bytes a second, and the peak is no
    /// more than the average.
    private func bandwidth() throws -> Interface.Bandwidth? {
        guard let megabitsPerSecond else { return nil }
        guard let rate = UInt32(exactly: megabitsPerSecond), rate > 0, rate <= UInt32.max / 128 else {
            throw LXCError(
                .invalidArgument,
                "NIC \(deviceID) cannot have \(megabitsPerSecond) Mbit/s; use 1 to \(UInt32.max / 128), or none at all")
        }
        let limit = Interface.Rate(average: rate * 128, peak: rate * 128)
        return Interface.Bandwidth(inbound: limit, outbound: limit)
    }
}
