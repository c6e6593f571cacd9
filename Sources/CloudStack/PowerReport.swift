// SPDX-License-Identifier: Apache-2.0

public import HypervisorDriver
public import LXCCore
public import LXCHypervisor

/// The power states of a host's guests: the report that CloudStack's hosts send to the management server, across all
/// hypervisor drivers.
///
/// A driver that does not answer is named in ``failures``, and its guests are missing from the report. A reader must
/// not take a missing guest for stopped while a driver failed.
public struct PowerReport: Hashable, Sendable, Codable {
    /// CloudStack's words.
    public enum Power: String, Hashable, Sendable, Codable, CaseIterable {
        /// It runs, or is suspended.
        case on = "PowerOn"
        /// It does not run.
        case off = "PowerOff"
        /// The hypervisor does not know, or it ended by its own failure.
        case unknown = "PowerUnknown"

        /// CloudStack's mapping of libvirt's states.
        public init(_ state: GuestState) {
            self =
                switch state {
                case .running, .blocked, .paused: .on
                case .shutOff, .shuttingDown: .off
                case .noState, .crashed: .unknown
                }
        }
    }

    /// One guest.
    public struct Entry: Hashable, Sendable, Codable {
        /// The guest's name.
        public var name: GuestName
        /// The driver that runs it, such as `libvirt-lxc`.
        public var driver: String
        /// Whether it is on.
        public var power: Power
    }

    /// A driver that could not be asked.
    public struct Failure: Hashable, Sendable, Codable {
        /// The driver.
        public var driver: String
        /// Why it could not be asked.
        public var reason: String
    }

    /// The host.
    public var hostName: String
    /// The guests of the drivers that answered, ordered by name.
    public var guests: [Entry]
    /// The drivers that did not answer.
    public var failures: [Failure]

    /// Whether every driver answered: only then a guest that is not in the report is not on the host.
    public var isComplete: Bool { failures.isEmpty }

    /// Asks all drivers concurrently.
    ///
    /// - Parameters:
    ///   - drivers: of containers, of system VMs.
    ///   - hostName: the host's name.
    /// - Returns: the report; it is made whatever fails.
    public static func collect(from drivers: [any HypervisorDriver], hostName: String) async -> PowerReport {
        var report = PowerReport(hostName: hostName, guests: [], failures: [])
        await withTaskGroup(of: (String, Result<[Guest], any Error>).self) { group in
            for driver in drivers {
                group.addTask {
                    do { return (driver.name, .success(try await driver.guests())) } catch {
                        return (driver.name, .failure(error))
                    }
                }
            }
            for await (driver, result) in group {
                switch result {
                case .success(let guests):
                    report.guests += guests.map { Entry(name: $0.name, driver: driver, power: Power($0.state)) }
                case .failure(let error):
                    report.failures.append(Failure(driver: driver, reason: "\(error)"))
                }
            }
        }
        report.guests.sort { ($0.name, $0.driver) < ($1.name, $1.driver) }
        report.failures.sort { $0.driver < $1.driver }
        return report
    }
}

extension LXCHypervisor {
    /// The power states of the host's containers and system VMs.
    public func powerReport() async -> PowerReport {
        await PowerReport.collect(
            from: [drivers.containers] + [drivers.systemVMs].compactMap(\.self), hostName: hostName)
    }
}
