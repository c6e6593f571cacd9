import HypervisorDriver
import LXCCore
import LibvirtXML

/// The rules of what a driver need not be able to do.
extension HypervisorDriverConformance {
    var furtherChecks: [ConformanceCheck] { [transientCheck, signalCheck, limitsCheck, autostartCheck, metadataCheck] }

    private var transientCheck: ConformanceCheck {
        check("a guest that was created without being defined is forgotten when it ends") { driver, name, domain in
            guard driver.capabilities.contains(.transient) else {
                try await requireError(.unsupported, by: "create") { try await driver.create(domain) }
                return
            }
            let events = try await driver.events()
            try await driver.create(domain)
            let guest = try await driver.guest(name)
            try requireEqual(guest.state, .running, "the state")
            try requireEqual(guest.isTransient, true, "whether it is transient")
            try await driver.destroy(name)
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
        check("a guest can be sent a signal while it runs") { driver, name, domain in
            try await driver.define(domain)
            guard driver.capabilities.contains(.signal) else {
                try await requireError(.unsupported, by: "send") { try await driver.send(.hangup, to: name) }
                return
            }
            try await requireError(.invalidState, by: "a signal before its start") {
                try await driver.send(.hangup, to: name)
            }
            try await driver.start(name)
            // The guest may take it as it likes: only that it can be sent is the driver's part.
            try await driver.send(.hangup, to: name)
        }
    }

    private var limitsCheck: ConformanceCheck {
        check("limits can be changed while the guest runs, and stay for its next start") { driver, name, domain in
            let change = GuestLimits(memory: .mebibytes(48), cpuShares: 300)
            try await driver.define(domain)
            guard driver.capabilities.contains(.limits) else {
                try await requireError(.unsupported, by: "setLimits") {
                    try await driver.setLimits(change, of: name)
                }
                return
            }
            try await driver.start(name)
            try await driver.setLimits(change, of: name)
            try await driver.setLimits(GuestLimits(cpuShares: 400), of: name)
            for moment in ["while it runs", "after its next start"] {
                let limits = try await driver.limits(of: name)
                try requireEqual(limits.memory, .mebibytes(48), "the memory \(moment)")
                try requireEqual(limits.cpuShares, 400, "the shares \(moment)")
                try await driver.destroy(name)
                try await driver.start(name)
            }
            try await requireError(.invalidArgument, by: "a quota of a few microseconds") {
                try await driver.setLimits(GuestLimits(cpuQuota: 5), of: name)
            }
        }
    }

    private var autostartCheck: ConformanceCheck {
        check("a defined guest can be started with the hypervisor, or not") { driver, name, domain in
            guard driver.capabilities.contains(.autostart) else { return }
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
            try await driver.destroy(name)
            try requireEqual(
                await driver.definition(of: name).containerMetadata(), metadata, "what is kept after its end")
        }
    }
}
