// SPDX-License-Identifier: Apache-2.0

import Libvirt
import Logging

/// The base of ``LibvirtContainers`` and ``LibvirtMachines``: one connection to libvirt, and the logger.
///
/// The connection opens with the first call and again after the daemon was restarted.
public struct LibvirtCore: Sendable {
    let connection: LibvirtConnection
    let logger: Logger

    init(_ kind: LibvirtKind, uri: String?, _ logger: Logger) {
        self.logger = logger
        connection = LibvirtConnection(uri: uri ?? kind.systemURI, logger: logger)
    }

    /// A connection to a private daemon, which is started again where it has died.
    init(_ kind: LibvirtKind, daemon: PrivateLibvirtd, _ logger: Logger) {
        self.logger = logger
        connection = LibvirtConnection(
            uri: daemon.uri(for: kind), startDaemon: { try await daemon.startAgain() }, logger: logger)
    }

    /// Whether the guests are processes of this host, in whose namespaces and control groups this program can work. The
    /// id of such a guest is the process that runs it; that of a guest of libvirt's test driver is a mere number.
    var hasProcessesHere: Bool { connection.driverName == "lxc" && connection.isLocal }
}
