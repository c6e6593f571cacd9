// SPDX-License-Identifier: Apache-2.0

import LXCHypervisor

/// The mark by which an agent recognizes its containers, also after a restart: its name precedes their owner in
/// libvirt's metadata.
package struct OwnerMark: Hashable, Sendable {
    private let agent: String

    /// Creates the mark of an agent's name.
    ///
    /// - Throws: `LXCError` `invalidArgument` for a name that is empty or has a slash.
    package init(agent: String) throws {
        guard !agent.isEmpty, !agent.contains("/") else {
            throw LXCError(
                .invalidArgument,
                "an agent cannot be called \"\(agent.escapedForDisplay)\"; give a name without a slash")
        }
        self.agent = agent
    }

    /// The specification with the mark.
    func put(on specification: LXCHypervisor.ContainerSpecification) -> LXCHypervisor.ContainerSpecification {
        var specification = specification
        specification.owner = specification.owner.map { "\(agent)/\($0)" } ?? agent
        return specification
    }

    /// Whether a container of that owner has the mark.
    func isOn(_ owner: String?) -> Bool { owner == agent || owner?.hasPrefix("\(agent)/") == true }
}
