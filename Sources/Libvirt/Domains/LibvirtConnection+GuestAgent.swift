// SPDX-License-Identifier: Apache-2.0

import CLibvirt
import LXCCore

/// The QEMU guest agent, a program inside a virtual machine that executes commands sent over a channel.
extension LibvirtConnection {
    /// Gives a command to the guest's agent.
    ///
    /// - Parameters:
    ///   - command: a JSON object, as `{"execute":"guest-ping"}`.
    ///   - domain: the virtual machine.
    ///   - seconds: the time limit for the agent's answer.
    /// - Returns: the answer, a JSON object.
    /// - Throws: `LXCError` `timedOut` while no agent answers, `invalidState` when the domain does not run,
    ///   `unsupported` when it has no channel for an agent, `hypervisor` with the agent's own error.
    public func askAgent(_ command: String, of domain: String, within seconds: Int32) async throws -> String {
        try requireNoNUL(command, "the command to the guest agent")
        return try await withDomain(domain, .asking(seconds)) { domain in
            guard let answer = virDomainQemuAgentCommand(domain.raw, command, seconds, 0) else {
                // Not the command: it may contain secrets.
                throw LXCError.lastLibvirt("reach the guest agent of the \(domain.shown)")
            }
            return takeString(answer)
        }
    }
}
