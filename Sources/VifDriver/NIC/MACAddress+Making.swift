// SPDX-License-Identifier: Apache-2.0

public import LibvirtXML
import OpenSSL

extension MACAddress {
    /// A random address, locally administered.
    public static func random() -> MACAddress { MACAddress(locallyAdministered: UInt64.random(in: 0...UInt64.max)) }

    /// The address that belongs to a seed, locally administered: the same seed has the same address on every host, and
    /// two seeds have two addresses but for one chance in 2⁴⁰. Use a seed that is unique where the network reaches, such
    /// as a guest's UUID and the NIC's number.
    public static func stable(from seed: String) -> MACAddress {
        let digest = MessageDigest.hash(data: Array(seed.utf8), with: .sha256)
        return MACAddress(locallyAdministered: digest.prefix(5).reduce(0) { $0 << 8 | UInt64($1) })
    }
}
