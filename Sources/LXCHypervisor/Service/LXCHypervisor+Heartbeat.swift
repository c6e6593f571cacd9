// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import LXCCore
import Logging
import PrimaryStore

extension LXCHypervisor {
    /// Writes this host's heartbeat into every pool that can hold one until the task is cancelled, if the policy names
    /// an address. A pool that hangs does not delay the others.
    func keepHeartbeats() async {
        guard let heartbeat = policy.heartbeat else { return }
        let stores = pools.compactMap { $0 as? any HeartbeatStore }
        if stores.isEmpty {
            logger.warning("no primary store can hold a heartbeat", metadata: ["pools": "\(storePools.list)"])
        }
        await withDiscardingTaskGroup { group in
            for store in stores { group.addTask { await self.keep(heartbeat, in: store) } }
        }
    }

    /// A heartbeat that cannot be written is logged and retried at the next interval. Unlike CloudStack's agent, this
    /// never resets the host: its leases say who may use a volume.
    private func keep(_ heartbeat: Policy.Heartbeat, in store: any HeartbeatStore) async {
        while !Task.isCancelled {
            do {
                try await store.writeHeartbeat(of: heartbeat.address, at: Date())
            } catch is CancellationError {
                return
            } catch {
                logger.error(
                    "cannot write the heartbeat; hosts of the cluster may take this one for dead",
                    metadata: ["pool": "\(store.id)", "address": "\(heartbeat.address)", "error": "\(error)"])
            }
            try? await Task.sleep(for: heartbeat.interval)
        }
    }
}
