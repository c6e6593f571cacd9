// SPDX-License-Identifier: Apache-2.0

import LXCCore

extension Features {
    /// Removes the modelled parts from `<features>`.
    init(taking rest: inout XMLFragment) throws {
        try self.init(
            acpi: rest.readFlag("acpi"), apic: rest.readFlag("apic"), pae: rest.readFlag("pae"),
            privateNetwork: rest.readFlag("privnet"),
            capabilities: rest.read("capabilities", Capabilities.init(taking:)))
        rest.sort(Self.order)
    }

    /// Puts the features into `<features>`.
    func write(_ element: inout XMLFragment) throws {
        element.writeFlag("acpi", acpi)
        element.writeFlag("apic", apic)
        element.writeFlag("pae", pae)
        element.writeFlag("privnet", privateNetwork)
        try element.write("capabilities") { try capabilities?.write(&$0) }
        element.sort(Self.order)
    }

    private static let order = ["acpi", "apic", "pae", "privnet", "capabilities"]
}

extension Features.Capabilities {
    fileprivate init?(taking rest: inout XMLFragment) throws {
        guard let policy: Policy = rest.takeCase("policy") else { return nil }
        self.init(policy: policy)
        for capability in Capability.allCases {
            let state: State? = try rest.read(XMLName(capability.rawValue)) { $0.takeCase("state") }
            if let state { changes[capability] = state == .on }
        }
    }

    fileprivate func write(_ element: inout XMLFragment) throws {
        try element.set("policy", policy.rawValue)
        for capability in Capability.allCases {
            guard let change = changes[capability] else { continue }
            try element.write(XMLName(capability.rawValue)) {
                try $0.set("state", (change ? State.on : State.off).rawValue)
            }
        }
    }

    private enum State: String { case on, off }
}
