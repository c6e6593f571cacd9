import FoundationEssentials
import Logging
import PrimaryStore

extension LXCHypervisor {
    /// Writes this host's heartbeat until the task is cancelled, where the policy names an address and the store can hold
    /// it. A beat that cannot be written is logged and tried again at the next; unlike CloudStack's agent this never
    /// resets the host: its leases say who may use a volume.
    func keepHeartbeat() async {
        guard let heartbeat = policy.heartbeat else { return }
        guard let store = primary as? any HeartbeatStore else {
            logger.warning("the primary store can hold no heartbeat", metadata: ["pool": "\(primary.id)"])
            return
        }
        while !Task.isCancelled {
            do {
                try await store.writeHeartbeat(of: heartbeat.address, at: Date())
            } catch is CancellationError {
                return
            } catch {
                logger.error(
                    "cannot write the heartbeat; hosts of the cluster may take this one for dead",
                    metadata: ["pool": "\(primary.id)", "address": "\(heartbeat.address)", "error": "\(error)"])
            }
            try? await Task.sleep(for: heartbeat.interval)
        }
    }
}
