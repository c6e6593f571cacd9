// SPDX-License-Identifier: Apache-2.0

// A process that owns a private libvirtd, for tests that kill it: starts the daemon and the container it is told to,
// prints `ready`, and waits for its standard input to end. Then it leaves without stopping anything.
//
//     PrivateLibvirtdOwner DIRECTORY owner|SECONDS [DOMAIN.xml]
import Foundation
import HypervisorDriver
import Libvirt
import Logging

let arguments = CommandLine.arguments
let logger = Logger(label: "owner")
guard arguments.count >= 3 else { exit(64) }
let lifetime: PrivateLibvirtd.Lifetime =
    Int(arguments[2]).map { .lingering(idleTimeout: .seconds($0)) } ?? .owner
let daemon = try await PrivateLibvirtd.start(
    PrivateLibvirtd.Configuration(directory: arguments[1], lifetime: lifetime), logger: logger)
if arguments.count > 3 {
    let connection = try await LibvirtConnection.open(daemon.uri(for: .lxc), logger: logger)
    try await connection.create(xml: String(contentsOfFile: arguments[3], encoding: .utf8))
}
print("ready")
fflush(nil)
while readLine() != nil {}
withExtendedLifetime(daemon) { _exit(0) }
