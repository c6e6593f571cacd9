// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import LXCCore
import LinuxSystem
import TestSupport
import Testing

/// What the kernel is asked about network devices, and which answers are believed.
@Suite(.limited) struct NetworkLinksTests {
    @Test func aDeviceIsFoundByItsName() throws {
        let links = try NetworkLinks()
        let loopback = try #require(try links.link("lo"))
        #expect(loopback.index == 1 && loopback.name == "lo" && loopback.mtu > 0)
        #expect(try links.link("no-such-device") == nil)
    }

    /// The answer to a request that was given up comes late: it answers no other request.
    @Test func anAnswerToAnotherRequestIsNotTaken() throws {
        let socket = clinux_link_open(-1)
        try #require(socket >= 0)
        defer { close(socket) }
        // RTM_GETLINK of device 1 and of one that is not there, with a number that is never used: asked for, and the answers
        // left unread.
        for index: UInt32 in [1, 99_999_999] {
            let words: [UInt32] = [32, 18 | 1 << 16, .max, 0, 0, index, 0, 0]
            try #require(words.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, 0) } == 32)
        }
        var link = clinux_link()
        #expect(clinux_link_get(socket, "lo", &link) == 0 && link.index == 1)
        #expect(clinux_link_get(socket, "no-such-device", &link) == -1)
        #expect(errno == ENODEV && link.index == 0)
    }

    @Test func aRequestThatIsTooLongIsRefused() throws {
        let socket = clinux_link_open(-1)
        try #require(socket >= 0)
        defer { close(socket) }
        var link = clinux_link()
        for length in [600, 5_000, 70_000] {
            #expect(clinux_link_get(socket, String(repeating: "x", count: length), &link) == -1)
            #expect(errno == EMSGSIZE)
        }
        #expect(clinux_link_get(socket, "lo", &link) == 0)
    }
}
