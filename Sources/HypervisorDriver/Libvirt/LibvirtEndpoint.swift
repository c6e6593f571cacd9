// SPDX-License-Identifier: Apache-2.0

import LXCCore
import Libvirt
public import Logging

/// A libvirt to connect to: the system's, or one started for this program.
public struct LibvirtEndpoint: Sendable {
    /// The URI to connect to.
    public let uri: String
    /// The daemon behind the URI where it was started for this program: stop it when done.
    public let privateDaemon: PrivateLibvirtd?

    /// Whether the system's daemon answers for a kind of domain.
    ///
    /// - Throws: `LXCError` `permissionDenied` when it does but refuses this user.
    public static func systemDaemonAnswers(for driver: LibvirtKind, logger: Logger) async throws -> Bool {
        do {
            let connection = try await LibvirtConnection.open(driver.systemURI, logger: logger)
            await connection.close()
            return true
        } catch let error as LXCError where error.code == .unavailable {
            return false
        }
    }

    /// The system's daemon where it answers for every kind of domain asked for; otherwise a private one.
    ///
    /// - Throws: the errors of ``PrivateLibvirtd/start(_:logger:)``, and `permissionDenied` if the system's daemon
    ///   refuses this user.
    public static func resolve(
        for driver: LibvirtKind, otherwise configuration: PrivateLibvirtd.Configuration, logger: Logger
    ) async throws -> LibvirtEndpoint {
        if try await systemDaemonAnswers(for: driver, logger: logger) {
            return LibvirtEndpoint(uri: driver.systemURI, privateDaemon: nil)
        }
        var configuration = configuration
        configuration.drivers.insert(driver)
        let daemon = try await PrivateLibvirtd.start(configuration, logger: logger)
        return LibvirtEndpoint(uri: daemon.uri(for: driver), privateDaemon: daemon)
    }
}
