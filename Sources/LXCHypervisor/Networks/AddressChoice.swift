// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import LXCCore
import VifDriver

/// The hardware addresses of a guest's NICs: the requested ones, and for each other NIC one derived from the guest's
/// UUID.
struct AddressChoice {
    private let wanted: [NIC]
    private let guest: UUID
    /// The number of generated addresses rejected so far for each NIC.
    private var attempts: [Int]
    /// The NICs, each with an address.
    private(set) var nics: [NIC] = []

    /// Makes the initial choice.
    ///
    /// - Throws: `LXCError` `alreadyExists` if two NICs request the same address.
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

    /// Chooses a new address for each NIC whose address belongs to another interface of the host.
    ///
    /// - Returns: whether there was no conflict.
    /// - Throws: `LXCError` `alreadyExists` if a requested address conflicts.
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

    /// Chooses a new address for the NIC whose address is currently reserved for another interface.
    ///
    /// - Throws: `LXCError` `inUse` if the address was requested.
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
