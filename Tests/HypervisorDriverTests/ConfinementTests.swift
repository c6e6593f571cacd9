// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import HypervisorDriver

/// What a command must have of the container's process 1, read from a kernel's texts.
@Suite struct ConfinementTests {
    private let status = """
        Name:\tinit
        Umask:\t0022
        CapInh:\t0000000000000021
        CapPrm:\t000001ffffffffff
        CapBnd:\t00000000a80425fb
        CapAmb:\t0000000000000020
        NoNewPrivs:\t1
        Cpus_allowed:\t0000000f,00000000,00000003
        """
    private let limits = """
        Limit                     Soft Limit           Hard Limit           Units
        Max cpu time              unlimited            unlimited            seconds
        Max file size             1024                 unlimited            bytes
        Max open files            1024                 524288               files
        """
    private let stat =
        "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 -5 1 0 30 40 50 60 0 0 0 0 0 0 0 0 0 0 0 0 17 1 9 2 0 0"

    @Test func allOfItIsRead() throws {
        let confinement = try #require(
            Confinement(status: status, limits: limits, stat: stat, personality: "00040000\n"))
        #expect(confinement.capabilities.bounding == 0xa804_25fb)
        #expect(confinement.capabilities.inheritable == 0x21, "as far as the bounding set goes")
        #expect(confinement.capabilities.ambient == 0x20)
        #expect(confinement.hasNoNewPrivileges)
        #expect(confinement.processors == [3, 0xf])
        #expect(confinement.personality == 0x40000)
        #expect(confinement.scheduling == .init(policy: 2, nice: -5, priority: 9))
        #expect(
            confinement.limits == [
                .init(soft: .max, hard: .max), .init(soft: 1024, hard: .max), .init(soft: 1024, hard: 524_288),
            ])
    }

    @Test func whatIsNotToldIsNotGuessed() {
        #expect(Confinement(status: "CapBnd:\t00", limits: limits, stat: stat, personality: "") == nil)
        #expect(Confinement(status: status, limits: "", stat: stat, personality: "") == nil)
        #expect(Confinement(status: status, limits: limits, stat: "7 (a", personality: "") == nil)
    }

    @Test func labelsAreAskedForAsTheirModulesWantIt() {
        func label(_ text: String, _ module: SecurityLabel.Module, _ own: Bool = true) -> SecurityLabel? {
            SecurityLabel(current: text, of: module, hasOwnFiles: own)
        }
        #expect(label("unconfined\n", .appArmor) == nil)
        #expect(label("\0", .seLinux) == nil)
        let profile = label("libvirt-1b4e28ba-2fa1-11d2-883f-0016d3cca427 (enforce)\n", .appArmor)
        #expect(profile?.file == "attr/apparmor/exec")
        #expect(profile?.request == "exec libvirt-1b4e28ba-2fa1-11d2-883f-0016d3cca427")
        #expect(label("a profile (of mine) (complain)\n", .appArmor, false)?.request == "exec a profile (of mine)")
        #expect(label("a (complain)", .appArmor, false)?.file == "attr/exec")
        let context = "system_u:system_r:svirt_lxc_net_t:s0:c1,c2"
        #expect(label("\(context)\0", .seLinux)?.request == context)
    }
}
