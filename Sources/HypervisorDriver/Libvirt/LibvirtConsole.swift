// SPDX-License-Identifier: Apache-2.0

import LXCCore
import Libvirt

/// A guest's console over libvirt's streams.
struct LibvirtConsole: GuestConsole {
    let stream: ConsoleStream

    var output: any AsyncSequence<[UInt8], any Error> & Sendable { stream }

    func write(_ bytes: [UInt8]) async throws { try await stream.write(bytes) }

    func close() async { await stream.close() }
}
