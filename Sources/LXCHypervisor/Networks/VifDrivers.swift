// SPDX-License-Identifier: Apache-2.0

public import LXCCore
public import LibvirtXML
public import VifDriver

extension LXCHypervisor {
    /// The network driver for each kind of traffic: CloudStack's `libvirt.vif.driver[.<TrafficType>]`.
    public struct VifDrivers: Sendable {
        /// The driver for traffic without a driver of its own.
        public var standard: any VifDriver
        /// The drivers for individual kinds of traffic.
        public var byTraffic: [TrafficType: any VifDriver]

        /// Creates a choice of network drivers, by default bridges for all traffic.
        public init(standard: any VifDriver = BridgeVifDriver(), byTraffic: [TrafficType: any VifDriver] = [:]) {
            self.standard = standard
            self.byTraffic = byTraffic
        }

        /// Plugs a guest's NICs. All or nothing.
        ///
        /// - Returns: the interfaces in the order of their device ids.
        /// - Throws: `LXCError` from the drivers, such as `notFound` if a bridge or device does not exist.
        public func plug(_ nics: [NIC], of guest: GuestName) async throws -> [Interface] {
            var interfaces: [Interface] = []
            for nic in nics.sorted(by: { $0.deviceID < $1.deviceID }) {
                do {
                    interfaces.append(try await driver(of: nic).plug(nic, of: guest))
                } catch {
                    // In its own task, so that cancellation of the caller does not prevent the release of the others.
                    try? await withoutCancellation { [interfaces] in try await unplug(interfaces) }
                    throw error
                }
            }
            return interfaces
        }

        /// The connection that a NIC would be plugged into.
        ///
        /// - Throws: `LXCError` from the driver.
        public func connection(of nic: NIC) async throws -> Interface.Kind {
            try await driver(of: nic).connection(of: nic)
        }

        /// Enforces a plugged NIC's security, replacing the rules enforced before.
        ///
        /// - Throws: `LXCError` from the driver: `unsupported` if it cannot be enforced.
        public func secure(_ nic: NIC, of guest: GuestName) async throws {
            let driver = driver(of: nic)
            guard let securing = driver as? any NICSecuring else {
                throw LXCError(.unsupported, "the network driver \(driver.name) cannot hold guests to rules")
            }
            try await securing.secure(nic, of: guest)
        }

        private func driver(of nic: NIC) -> any VifDriver { byTraffic[nic.trafficType] ?? standard }

        /// Unplugs interfaces. Each driver recognizes its own; a failing driver does not stop the release of the
        /// others.
        ///
        /// - Throws: the first failure.
        public func unplug(_ interfaces: [Interface]) async throws {
            var failure: (any Error)?
            for interface in interfaces {
                for driver in [standard] + byTraffic.values {
                    do { try await driver.unplug(interface) } catch { failure = failure ?? error }
                }
            }
            if let failure { throw failure }
        }
    }
}
