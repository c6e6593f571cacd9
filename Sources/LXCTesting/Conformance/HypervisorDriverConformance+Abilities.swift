// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LibvirtXML

/// The rules of abilities, and of the metadata stored with a guest.
extension HypervisorDriverConformance {
    var furtherChecks: [ConformanceCheck] {
        [transientCheck, signalCheck, limitsCheck, autostartCheck, metadataCheck, foreignMetadataCheck]
    }

    private var transientCheck: ConformanceCheck {
        check(
            "a guest that was started without being defined is forgotten when it ends", of: (any TransientGuests).self
        ) {
            [timeout] driver, name, domain in
            let events = try await driver.events()
            try await driver.startTransient(domain)
            let guest = try await driver.guest(name)
            try requireEqual(guest.state, .running, "the state")
            try requireEqual(guest.isTransient, true, "whether it is transient")
            try await driver.kill(name)
            try await requireError(.notFound, by: "the guest after its end") { try await driver.guest(name) }
            let found = try await within(timeout, "the arrival of the events") {
                var kinds: [GuestEvent.Kind] = []
                for try await event in events where event.guest == name {
                    kinds.append(event.kind)
                    if event.kind == .stopped { break }
                }
                return kinds
            }
            try requireEqual(found, [.started, .stopped], "the sequence of events")
        }
    }

    private var signalCheck: ConformanceCheck {
        check("a guest can be sent a signal while it runs", of: (any GuestSignalling).self) { driver, name, domain in
            try await driver.define(domain)
            try await requireError(.invalidState, by: "a signal before its start") {
                try await driver.send(.hangup, to: name)
            }
            try await driver.start(name)
            // The guest may take it as it likes: only that it can be sent is the driver's part.
            try await driver.send(.hangup, to: name)
        }
    }

    private var limitsCheck: ConformanceCheck {
        check("limits can be changed while the guest runs, and stay for its next start", of: (any GuestLimiting).self) {
            driver, name, domain in
            let change = GuestLimits.Change(memory: .mebibytes(48), cpuShares: 300)
            try await driver.define(domain)
            try await driver.start(name)
            try await driver.setLimits(change, of: name)
            try await driver.setLimits(GuestLimits.Change(cpuShares: 400), of: name)
            for moment in ["while it runs", "after its next start"] {
                let limits = try await driver.limits(of: name)
                try requireEqual(limits.memory, .mebibytes(48), "the memory \(moment)")
                try requireEqual(limits.cpuShares, 400, "the shares \(moment)")
                try await driver.kill(name)
                try await driver.start(name)
            }
            try await requireError(.invalidArgument, by: "a quota of a few microseconds") {
                try await driver.setLimits(GuestLimits.Change(cpuQuota: .limit(.microseconds(5))), of: name)
            }
        }
    }

    private var autostartCheck: ConformanceCheck {
        check("a defined guest can be started with the hypervisor, or not", of: (any GuestAutostart).self) {
            driver, name, domain in
            try await driver.define(domain)
            try requireEqual(await driver.isAutostarted(name), false, "the autostart at first")
            try await driver.setAutostart(true, of: name)
            try requireEqual(await driver.isAutostarted(name), true, "the autostart switched on")
            try await driver.setAutostart(false, of: name)
            try requireEqual(await driver.isAutostarted(name), false, "the autostart switched off")
        }
    }

    private var metadataCheck: ConformanceCheck {
        check("what is kept with a guest is there at once and after its end") { driver, name, domain in
            var metadata = ContainerMetadata(pool: .random(), volume: .random(), owner: "somebody")
            var document = domain
            try document.setContainerMetadata(metadata)
            try await driver.define(document)
            metadata.stopSignal = "SIGRTMIN+3"
            metadata.restart = .always
            try await driver.setContainerMetadata(metadata, of: name)
            try requireEqual(await driver.definition(of: name).containerMetadata(), metadata, "what is kept at first")
            try await driver.start(name)
            metadata.isHeld = true
            try await driver.setContainerMetadata(metadata, of: name)
            try requireEqual(
                await driver.definition(of: name).containerMetadata(), metadata, "what is kept while it runs")
            try await driver.kill(name)
            try requireEqual(
                await driver.definition(of: name).containerMetadata(), metadata, "what is kept after its end")
        }
    }

    private var foreignMetadataCheck: ConformanceCheck {
        check("elements of several namespaces are kept side by side, replaced and removed") { driver, name, domain in
            let namespaces = ["https://conformance.invalid/1", "https://conformance.invalid/2"]
            func element(_ namespace: String, _ text: String) -> XMLFragment {
                let prefix = "c\(namespace.suffix(1))"
                return XMLFragment(
                    XMLName("note", namespace: namespace, prefix: prefix),
                    declarations: [.init(prefix: prefix, namespace: namespace)], children: [.text(text)])
            }
            func kept() async throws -> [String?] {
                let metadata = try await driver.definition(of: name).metadata
                return namespaces.map { namespace in metadata.first { $0.name.namespace == namespace }?.text }
            }
            try await driver.define(domain)
            for namespace in namespaces {
                try await driver.setMetadata(element(namespace, "first"), namespace: namespace, of: name)
            }
            try requireEqual(await kept(), ["first", "first"], "what is kept at first")
            try await driver.setMetadata(element(namespaces[0], "second"), namespace: namespaces[0], of: name)
            try requireEqual(await kept(), ["second", "first"], "what is kept once one was replaced")
            try await driver.setMetadata(nil, namespace: namespaces[1], of: name)
            try requireEqual(await kept(), ["second", nil], "what is kept once one was removed")
        }
    }
}
