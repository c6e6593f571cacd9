// SPDX-License-Identifier: Apache-2.0

import LXCHypervisor
import TestSupport

/// The policies of hosts in memory: their book of host ids goes with the test, and the ids of processes that happen to run
/// on the machine count for nothing.
struct TestPolicy {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// The policy of every host of one test.
    var host: LXCHypervisor.Policy {
        var policy = LXCHypervisor.Policy()
        policy.idMaps.directory = scratch["ids"]
        policy.idMaps.respectsProcesses = false
        return policy
    }
}
