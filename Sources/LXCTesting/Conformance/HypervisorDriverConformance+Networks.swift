// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import LibvirtXML

extension HypervisorDriverConformance {
    var networkChecks: [ConformanceCheck] {
        [
            check("an interface of a guest that does not run comes and goes", of: (any GuestInterfaces).self) {
                driver, name, domain in
                try await driver.define(domain)
                let before = try await driver.definition(of: name).interfaces.count
                var interface = Interface(.network("conformance"), mac: try MACAddress("02:00:4c:3b:00:01"))
                interface.guestDevice = "eth7"
                for _ in 0..<2 { try await driver.attach(interface, to: name) }
                let found = try await driver.definition(of: name).interfaces
                try requireEqual(found.count, before + 1, "the number of interfaces after attaching one twice")
                try require(found.contains { $0.mac == interface.mac && $0.kind == interface.kind }, "it is another")
                var renamed = interface
                renamed.guestDevice = "eth8"
                var moved = interface
                moved.kind = .network("another")
                for other in [renamed, moved] {
                    try await requireError(.alreadyExists, by: "another interface with the same address") { [other] in
                        try await driver.attach(other, to: name)
                    }
                }
                try requireEqual(await driver.definition(of: name).interfaces, found, "the interfaces once refused")
                for _ in 0..<2 { try await driver.detach(try MACAddress("02:00:4c:3b:00:01"), from: name) }
                try requireEqual(
                    await driver.definition(of: name).interfaces.count, before, "the number after detaching")
                try await requireError(.invalidArgument, by: "an interface without address") {
                    try await driver.attach(Interface(.network("conformance")), to: name)
                }
            },
            check("interfaces of a guest that is not defined are notFound", of: (any GuestInterfaces).self) {
                driver, name, _ in
                let mac = try MACAddress("02:00:4c:3b:00:01")
                try await requireError(.notFound, by: "attach") {
                    try await driver.attach(Interface(.ethernet, mac: mac), to: name)
                }
                try await requireError(.notFound, by: "detach") { try await driver.detach(mac, from: name) }
            },
            check("a network filter can be defined, changed and forgotten, twice", of: (any NetworkFiltering).self) {
                driver, name, _ in
                var filter = NetworkFilter(name: "\(name)", rules: [.init(.drop, .both, .init(.stp))])
                try await driver.define(filter)
                filter.rules.append(.init(.drop, .out, .init(.rarp)))
                try await driver.define(filter)
                for _ in 0..<2 { try await driver.undefineNetworkFilter(filter.name) }
            },
            check("what is kept with a guest can be changed, also while it runs") { driver, name, domain in
                try await driver.define(domain)
                var metadata = ContainerMetadata(pool: .random(), volume: .random())
                try await driver.setContainerMetadata(metadata, of: name)
                try requireEqual(await driver.definition(of: name).containerMetadata(), metadata, "the metadata")
                try await driver.start(name)
                metadata.networks = [.init(device: 1, traffic: "Guest", broadcast: "vxlan://5", label: "eth0")]
                try await driver.setContainerMetadata(metadata, of: name)
                try requireEqual(await driver.definition(of: name).containerMetadata(), metadata, "the running one's")
                try await driver.kill(name)
                try requireEqual(await driver.definition(of: name).containerMetadata(), metadata, "the next start's")
            },
        ]
    }
}
