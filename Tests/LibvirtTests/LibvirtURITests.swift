// SPDX-License-Identifier: Apache-2.0

import LXCCore
import Libvirt
import Testing

@Suite struct LibvirtURITests {
    @Test(arguments: [
        ("lxc:///", "lxc", true), ("lxc:///system", "lxc", true), ("qemu+unix:///system?socket=/run/a", "qemu", true),
        ("qemu+ssh://root@host:22/system", "qemu", false), ("lxc://host/", "lxc", false),
        ("qemu+ssh:///system", "qemu", false), ("test:///default", "test", true),
    ])
    func driverAndPlace(_ text: String, _ driver: String, _ isLocal: Bool) throws {
        let uri = try #require(LibvirtURI(Locator(text)))
        #expect(uri.driver == driver)
        #expect(uri.isLocal == isLocal)
    }

    @Test func theSocketIsDecoded() {
        #expect(LibvirtURI("lxc:///system?mode=direct&socket=/run/a%20b/sock")?.socket == "/run/a b/sock")
        #expect(LibvirtURI("lxc:///system?socket=/run/%zz")?.socket == nil)
        #expect(LibvirtURI("lxc:///system#?socket=/run/a")?.socket == nil)
        #expect(LibvirtURI("lxc:///system")?.socket == nil)
    }

    @Test func anAliasIsNoURI() { #expect(LibvirtURI("my-host") == nil) }
}
