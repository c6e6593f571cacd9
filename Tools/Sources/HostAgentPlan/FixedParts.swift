// SPDX-License-Identifier: Apache-2.0

import LXCHypervisor
import LibvirtXML

/// The properties of a container that are fixed when it is made. The source of its root's identity is not included: it
/// is unknown afterwards.
struct FixedParts {
    private let document: Domain
    private let metadata: ContainerMetadata?

    init(_ document: Domain) throws {
        self.document = document
        metadata = try document.containerMetadata()
    }

    /// The keys of the specification that say something else than what there is.
    func differences(from other: FixedParts, _ privilege: LXCHypervisor.ContainerSpecification.Privilege?) -> [String] {
        let (os, otherOS) = (document.os, other.document.os)
        return [
            ("pool", metadata?.pool == other.metadata?.pool),
            ("template", metadata?.template == other.metadata?.template),
            (privilege == .privileged ? "privileged" : "idMap", Self.fits(privilege, other.document.idMap)),
            ("init", os.initPath == otherOS.initPath), ("arguments", os.initArguments == otherOS.initArguments),
            ("environment", Set(os.initEnvironment) == Set(otherOS.initEnvironment)),
            ("cpus", document.virtualCPUs?.count == other.document.virtualCPUs?.count),
            ("stopSignal", metadata?.stopSignal == other.metadata?.stopSignal),
            ("nics", networks == other.networks),
            ("consoleLog", metadata?.consoleLog == other.metadata?.consoleLog),
            ("owner", metadata?.owner == other.metadata?.owner), ("title", document.title == other.document.title),
        ].filter { !$0.1 }.map(\.0)
    }

    private var networks: Set<ContainerMetadata.Network> { Set(metadata?.networks ?? []) }

    /// Whether the ids are those asked for. host-agent's hosts isolate by default, and choose the ids at creation.
    private static func fits(_ privilege: LXCHypervisor.ContainerSpecification.Privilege?, _ map: IDMap?) -> Bool {
        switch privilege {
        case nil, .isolated: map != nil
        case .privileged: map == nil
        case .unprivileged(let wanted): map == wanted
        }
    }
}
