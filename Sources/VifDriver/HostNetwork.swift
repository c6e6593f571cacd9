import DomainXML
import Foundation
import LXCCore

/// The host's network devices, as sysfs shows them.
struct HostNetwork: Sendable {
    /// Where sysfs lists network devices.
    static let sysfs = "/sys/class/net"

    private let root: String

    /// Takes the directory that lists the devices.
    init(root: String) { self.root = root }

    /// Checks that a bridge is there.
    ///
    /// - Throws: `LXCError` with code `notFound` when nothing of that name is there, `invalidArgument` when it is no
    ///   bridge, or no device can have that name.
    func requireBridge(_ name: String) async throws {
        try await look(at: name) { path in
            guard exists(path) else {
                throw LXCError(
                    .notFound,
                    "the host has no bridge \(name); make one with: ip link add \(name) type bridge && ip "
                        + "link set \(name) up")
            }
            guard exists(path + "/bridge") else {
                throw LXCError(
                    .invalidArgument,
                    "\(name) is no bridge but another network device; name a bridge, or connect guests to it directly")
            }
        }
    }

    /// Checks that a device is there and free for guests to be put on it.
    ///
    /// - Throws: `LXCError` with code `notFound` when nothing of that name is there, `invalidArgument` when it is a
    ///   port of a bridge, or no device can have that name.
    func requireFreeDevice(_ name: String) async throws {
        try await look(at: name) { path in
            guard exists(path) else {
                throw LXCError(.notFound, "the host has no network device \(name); see: ip link")
            }
            guard !exists(path + "/brport"), !exists(path + "/master/bridge") else {
                throw LXCError(
                    .invalidArgument,
                    "\(name) is a port of the bridge \(bridge(ofPort: path)) and cannot carry guests "
                        + "beside it; connect them to the bridge, or take it out with: ip link set \(name) nomaster")
            }
        }
    }

    /// Runs `body` with a device's path, which no name can lead out of the directory.
    private func look(at name: String, _ body: @escaping @Sendable (String) throws -> Void) async throws {
        guard Interface.isDeviceName(name) else {
            throw LXCError(
                .invalidArgument,
                "\"\(name.escapedForDisplay)\" cannot name a network device; use 1 to 15 of A-Z a-z "
                    + "0-9 . _ -")
        }
        let path = root + "/" + name
        try await BlockingPool.shared.run { _ in try body(path) }
    }

    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    private func bridge(ofPort path: String) -> String {
        let link = (try? FileManager.default.destinationOfSymbolicLink(atPath: path + "/master")) ?? "?"
        return (link.split(separator: "/").last.map(String.init) ?? "?").escapedForDisplay
    }
}
