// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import Libvirt
import Logging
import TestSupport
import Testing

/// libvirt's own test driver, which keeps pools without mounting anything.
@Suite(.limited) struct StoragePoolTests {
    private let connection = LibvirtConnection(uri: "test:///default", logger: Logger(label: "test"))
    private let uuid = UUID()

    private var document: String {
        """
        <pool type='netfs'><name>\(uuid.uuidString)</name><uuid>\(uuid.uuidString)</uuid>
          <source><host name='nas'/><dir path='/export'/><format type='nfs'/></source>
          <target><path>/mnt/pool</path></target></pool>
        """
    }

    @Test func startedLookedAtAndStopped() async throws {
        #expect(try await !connection.isStoragePoolActive(uuid))
        try await connection.startStoragePool(xml: document)
        #expect(try await connection.isStoragePoolActive(uuid))
        try await connection.stopStoragePool(uuid)
        #expect(try await !connection.isStoragePoolActive(uuid))
        // What is not there is no error.
        try await connection.stopStoragePool(uuid)
        await connection.close()
    }

    @Test func documentThatIsNone() async throws {
        await #expect(throws: LXCError.self) { try await connection.startStoragePool(xml: "<pool/>") }
        await connection.close()
    }
}
