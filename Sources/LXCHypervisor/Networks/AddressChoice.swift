import FoundationEssentials
import LXCCore
import VifDriver

/// Which hardware addresses the NICs of a guest get: those that were asked for, and one made from the guest's UUID for each
/// of the others.
struct AddressChoice {
    private let wanted: [NIC]
    private let guest: UUID
    /// How many made addresses of each NIC were another's.
    private var attempts: [Int]
    /// The NICs, with an address each.
    private(set) var nics: [NIC] = []

    /// Chooses for the first time.
    ///
    /// - Throws: `LXCError` `alreadyExists` when two NICs want the same address.
    init(_ nics: [NIC], of guest: UUID) throws {
        wanted = nics
        self.guest = guest
        attempts = Array(repeating: 0, count: nics.count)
        var given: Set<MACAddress> = []
        for nic in nics {
            guard let mac = nic.mac, !given.insert(mac).inserted else { continue }
            throw Self.conflict(nic, mac, "another NIC of the same guest")
        }
        choose()
    }

    /// Chooses anew where another interface of the host has the address.
    ///
    /// - Returns: whether none has.
    /// - Throws: `LXCError` `alreadyExists` for an address that was asked for.
    mutating func avoid(_ owners: [MACAddress: String]) throws -> Bool {
        var isFree = true
        for (index, nic) in nics.enumerated() {
            guard let mac = nic.mac, let owner = owners[mac] else { continue }
            guard wanted[index].mac == nil else { throw Self.conflict(nic, mac, owner) }
            attempts[index] += 1
            isFree = false
        }
        if !isFree { choose() }
        return isFree
    }

    /// Chooses anew for the NIC whose address is just being given to another.
    ///
    /// - Throws: `LXCError` `inUse` for an address that was asked for.
    mutating func avoidReserved(_ mac: MACAddress) throws {
        guard let index = nics.firstIndex(where: { $0.mac == mac }) else { return }
        guard wanted[index].mac == nil else {
            throw LXCError(
                .inUse,
                "NIC \(nics[index].deviceID) cannot have the hardware address \(mac), which is just being given to another "
                    + "guest of this host; give it another, or none")
        }
        attempts[index] += 1
        choose()
    }

    private mutating func choose() {
        var taken = Set(wanted.compactMap(\.mac))
        for (index, nic) in wanted.enumerated() where nic.mac == nil {
            while !taken.insert(made(for: nic, attempts[index])).inserted { attempts[index] += 1 }
        }
        nics = wanted.enumerated().map { index, nic in
            var nic = nic
            nic.mac = nic.mac ?? made(for: nic, attempts[index])
            return nic
        }
    }

    private func made(for nic: NIC, _ attempt: Int) -> MACAddress {
        .stable(from: "\(guest.uuidString.lowercased()):\(nic.deviceID)" + (attempt == 0 ? "" : ":\(attempt)"))
    }

    private static func conflict(_ nic: NIC, _ mac: MACAddress, _ owner: String) -> LXCError {
        LXCError(
            .alreadyExists,
            "NIC \(nic.deviceID) cannot have the hardware address \(mac), which \(owner) has; give it another, or none")
    }
}
