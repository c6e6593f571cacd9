import DomainXML
import Foundation
import LXCCore
import TestSupport
import Testing
import VifDriver

@Suite(.timeLimit(.minutes(15))) struct AgentPropertiesTests {
    private func properties(_ text: String) throws -> JavaProperties { try JavaProperties(parsing: Data(text.utf8)) }

    @Test func devicesHaveCloudStacksDefaults() throws {
        let devices = try BridgeVifDriver(agentProperties: JavaProperties()).devices
        #expect(
            devices == [
                .public: "cloudbr0", .guest: "cloudbr1", .management: "cloudbr1", .storage: "cloudbr1",
                .control: "cloud0",
            ])
    }

    @Test func devicesAreRead() throws {
        let text = "public.network.device=pub\nprivate.network.device=priv\nprivate.bridge.name=ctl\n"
        var devices = try BridgeVifDriver(agentProperties: properties(text)).devices
        #expect(devices[.public] == "pub" && devices[.guest] == "priv" && devices[.storage] == "priv")
        #expect(devices[.management] == "priv" && devices[.control] == "ctl")
        devices = try BridgeVifDriver(agentProperties: properties(text + "guest.network.device=gst")).devices
        #expect(devices[.guest] == "gst" && devices[.storage] == "priv")
    }

    @Test func aNameNoDeviceCanHaveIsRefusedWithItsKey() async throws {
        let wrong = try properties("guest.network.device=../eth0")
        let error = await failure { try BridgeVifDriver(agentProperties: wrong) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains("guest.network.device") == true && error?.message.contains("../eth0") == true)
    }

    @Test func directNetworksNeedBothKeys() async throws {
        _ = try DirectVifDriver(
            agentProperties: properties("network.direct.device=eth0\nnetwork.direct.source.mode=private"))
        let cases = [
            ("network.direct.source.mode=private", "network.direct.device"),
            ("network.direct.device=eth0", "network.direct.source.mode"),
            ("network.direct.device=eth0\nnetwork.direct.source.mode=Private", "network.direct.source.mode"),
            ("network.direct.device=a b\nnetwork.direct.source.mode=vepa", "network.direct.device"),
        ]
        for (text, key) in cases {
            let wrong = try properties(text)
            let error = await failure { try DirectVifDriver(agentProperties: wrong) }
            #expect(error?.code == .invalidArgument && error?.message.contains(key) == true, "\(text)")
        }
    }
}
