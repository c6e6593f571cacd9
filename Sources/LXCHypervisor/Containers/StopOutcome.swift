// SPDX-License-Identifier: Apache-2.0

extension LXCHypervisor {
    /// How a container or a system VM ended.
    public enum StopOutcome: String, Hashable, Sendable, Codable {
        /// The guest ended on request.
        case graceful
        /// The guest did not end in time and was killed.
        case forced
        /// The guest was not running.
        case notRunning
    }
}
