// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LibvirtXML
import TestSupport
import Testing

/// The document a domain is written as, once libvirt's schema has accepted it.
func valid(_ domain: Domain) throws -> String {
    let text = try domain.xml()
    try validateAgainstLibvirtSchema(text)
    return text
}

/// A small container to change one thing of.
func container(_ change: (inout Domain) -> Void = { _ in }) -> Domain {
    var domain = Domain(type: .lxc, name: "i-2-3-VM", os: .container(initPath: "/sbin/init"))
    domain.memory = .mebibytes(512)
    change(&domain)
    return domain
}

/// The error `body` ends with, which has to be one of ours.
func failure<Result>(
    of body: () throws -> Result, sourceLocation: SourceLocation = #_sourceLocation
) -> LXCError? {
    #expect(throws: LXCError.self, sourceLocation: sourceLocation) { _ = try body() }
}

/// A generator whose numbers are the same in every run: a failure names its seed and can be had again.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
