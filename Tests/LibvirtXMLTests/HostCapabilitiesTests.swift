// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LibvirtXML
import Testing

@Suite struct HostCapabilitiesTests {
    @Test func domainTypesAreThoseOfAllArchitectures() throws {
        let capabilities = try HostCapabilities(
            xml: """
                <capabilities>
                  <host><cpu><arch>x86_64</arch></cpu></host>
                  <guest><os_type>hvm</os_type><arch name="i686"><domain type="qemu"/></arch></guest>
                  <guest>
                    <os_type>hvm</os_type>
                    <arch name="x86_64"><domain type="qemu"/><domain type="kvm"><machine>pc</machine></domain></arch>
                  </guest>
                  <guest><arch name="x86_64"><domain type="vz"/></arch></guest>
                </capabilities>
                """)
        #expect(capabilities.domainTypes == [.qemu, .kvm])
    }

    @Test func aHostWithoutKVMOffersNone() throws {
        let text =
            "<capabilities><!-- <domain type='kvm'/> --><guest><arch><domain type='qemu'/></arch></guest></capabilities>"
        #expect(try HostCapabilities(xml: text).domainTypes == [.qemu])
    }

    @Test func anotherDocumentIsRefused() {
        #expect(throws: LXCError.self) { try HostCapabilities(xml: "<domain type='kvm'/>") }
    }
}
