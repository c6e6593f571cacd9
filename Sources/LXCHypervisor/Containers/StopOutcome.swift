// SPDX-License-Identifier: Apache-2.0

extension LXCHypervisor {
    /// How a container or a system VM came to its end.
    public enum StopOutcome: String, Hashable, Sendable, Codable {
        /// It ended when asked.
        case graceful
        /// It did not end in time and was killed.
        case forced
        /// It was not running.
        case notRunning
    }
}
