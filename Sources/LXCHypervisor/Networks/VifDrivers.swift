public import LXCCore
public import LibvirtXML
public import VifDriver

extension LXCHypervisor {
    /// Which network driver serves which kind of traffic: CloudStack's `libvirt.vif.driver[.<TrafficType>]`.
    public struct VifDrivers: Sendable {
        /// Serves traffic no other driver is named for.
        public var standard: any VifDriver
        /// Serves one kind of traffic each.
        public var byTraffic: [TrafficType: any VifDriver]

        /// Creates a choice of network drivers; by default bridges for everything.
        public init(standard: any VifDriver = BridgeVifDriver(), byTraffic: [TrafficType: any VifDriver] = [:]) {
            self.standard = standard
            self.byTraffic = byTraffic
        }

        /// The interfaces of a guest in the order of their device ids. Either all are plugged or none is.
        ///
        /// - Throws: `LXCError` as the drivers do: `notFound` for a bridge or device that is not there, and others.
        public func plug(_ nics: [NIC], of guest: GuestName) async throws -> [Interface] {
            var interfaces: [Interface] = []
            for nic in nics.sorted(by: { $0.deviceID < $1.deviceID }) {
                do {
                    interfaces.append(try await driver(of: nic).plug(nic, of: guest))
                } catch {
                    // In a task of its own: the caller's cancellation must not keep the others from being taken back.
                    try? await Task { [interfaces] in try await unplug(interfaces) }.value
                    throw error
                }
            }
            return interfaces
        }

        /// Where a NIC would be plugged.
        ///
        /// - Throws: `LXCError` as the drivers do.
        public func connection(of nic: NIC) async throws -> Interface.Kind {
            try await driver(of: nic).connection(of: nic)
        }

        /// Enforces a plugged NIC's security, in the place of what was enforced before.
        ///
        /// - Throws: `LXCError` as the drivers do: `unsupported` where it cannot be enforced.
        public func secure(_ nic: NIC, of guest: GuestName) async throws {
            let driver = driver(of: nic)
            guard let securing = driver as? any NICSecuring else {
                throw LXCError(.unsupported, "the network driver \(driver.name) cannot hold guests to rules")
            }
            try await securing.secure(nic, of: guest)
        }

        private func driver(of nic: NIC) -> any VifDriver { byTraffic[nic.trafficType] ?? standard }

        /// Unplugs interfaces. Each driver knows its own; one that fails keeps no other from being taken back.
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
