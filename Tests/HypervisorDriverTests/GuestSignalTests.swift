// SPDX-License-Identifier: Apache-2.0

import Foundation
import HypervisorDriver
import LXCCore
import TestSupport
import Testing

@Suite(.limited) struct GuestSignalTests {
    @Test(arguments: [
        ("SIGTERM", 15, "SIGTERM"), ("TERM", 15, "SIGTERM"), ("SIGPWR", 30, "SIGPWR"), ("SIGRTMIN+3", 37, "SIGRTMIN+3"),
        ("RTMIN", 34, "SIGRTMIN+0"), ("12", 12, "SIGUSR2"), ("64", 64, "SIGRTMIN+30"), ("33", 33, "33"),
    ])
    func namesAndNumbers(text: String, number: Int32, name: String) throws {
        let signal = try GuestSignal(parsing: text)
        #expect(signal.rawValue == number)
        #expect(signal.description == name)
        #expect(try GuestSignal(parsing: name) == signal)
        #expect(try JSONDecoder().decode(GuestSignal.self, from: JSONEncoder().encode(signal)) == signal)
    }

    @Test(arguments: ["", "0", "65", "-1", "SIGNOTHING", "SIGRTMIN+31", "SIGRTMIN+-1", "sigterm"])
    func whatIsNoSignalIsRefused(text: String) {
        expect(.invalidArgument) { try GuestSignal(parsing: text) }
    }

    @Test func systemdsIsTheCLibrarysThirdRealTimeSignal() { #expect(GuestSignal.systemdHalt.rawValue == 37) }
}
