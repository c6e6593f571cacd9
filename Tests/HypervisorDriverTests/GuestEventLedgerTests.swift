// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import TestSupport
import Testing

@testable import HypervisorDriver

/// Each change is told once, whatever the hypervisor repeats or keeps to itself.
@Suite(.limited) struct GuestEventLedgerTests {
    private let name: GuestName
    private let uuid = UUID()

    init() throws { name = try GuestName("web1") }

    private func guest(_ state: GuestState, _ id: Int32? = nil, isTransient: Bool = false) -> Guest {
        Guest(name: name, uuid: uuid, state: state, id: id, isTransient: isTransient)
    }

    private func kinds(
        _ ledger: inout GuestEventLedger, _ reports: [(GuestEvent.Kind, Int32?)]
    ) -> [GuestEvent.Kind] {
        reports.flatMap { kind, id in
            ledger.take(.init(event: GuestEvent(guest: name, kind: kind), id: id)).map(\.kind)
        }
    }

    @Test func aRepeatedEndIsToldOnce() {
        var ledger = GuestEventLedger([guest(.running, 5)])
        #expect(
            kinds(&ledger, [(.stopped, nil), (.stopped, nil), (.started, 6), (.stopped, nil)]) == [
                .stopped, .started, .stopped,
            ])
    }

    @Test func aStartThatIsKnownIsNotTold() {
        var ledger = GuestEventLedger([guest(.running, 5)])
        #expect(kinds(&ledger, [(.started, 5)]) == [])
        #expect(kinds(&ledger, [(.started, 7)]) == [.stopped, .started], "the end between the two was not reported")
    }

    @Test func suspensionsAreToldOnce() {
        var ledger = GuestEventLedger([guest(.running, 5)])
        #expect(
            kinds(&ledger, [(.suspended, 5), (.suspended, 5), (.resumed, 5), (.resumed, 5)]) == [.suspended, .resumed])
    }

    @Test func everyChangeOfADefinitionIsTold() {
        var ledger = GuestEventLedger([])
        #expect(
            kinds(&ledger, [(.defined, nil), (.defined, nil), (.undefined, nil), (.undefined, nil)]) == [
                .defined, .defined, .undefined,
            ])
    }

    @Test func whatWasMissedIsTold() {
        let cases: [(before: [Guest], after: [Guest], told: [GuestEvent.Kind])] = [
            ([guest(.running, 5)], [guest(.running, 5)], []),
            ([guest(.running, 5)], [guest(.shutOff)], [.stopped]),
            ([guest(.running, 5)], [guest(.running, 6)], [.stopped, .started]),
            ([guest(.running, 5)], [guest(.paused, 5)], [.suspended]),
            ([guest(.paused, 5)], [guest(.running, 5)], [.resumed]),
            ([guest(.paused, 5)], [guest(.running, 6)], [.stopped, .started]),
            ([guest(.paused, 5)], [guest(.paused, 6)], [.stopped, .started, .suspended]),
            ([guest(.paused, 5)], [guest(.shutOff)], [.stopped]),
            ([guest(.running, 5)], [guest(.crashed)], [.crashed]),
            ([guest(.shutOff)], [guest(.running, 6)], [.started]),
            ([guest(.running, 5)], [], [.stopped, .undefined]),
            ([guest(.running, 5, isTransient: true)], [], [.stopped]),
            ([], [guest(.shutOff)], [.defined]),
            ([], [guest(.running, 6)], [.defined, .started]),
            ([], [guest(.running, 6, isTransient: true)], [.started]),
            ([guest(.running, 5)], [guest(.running, 5, isTransient: true)], [.undefined]),
            (
                [guest(.running, 5)], [Guest(name: name, uuid: UUID(), state: .running, id: 6)],
                [.stopped, .undefined, .defined, .started]
            ),
        ]
        for (before, after, told) in cases {
            var ledger = GuestEventLedger(before)
            #expect(ledger.resynchronize(after).map(\.kind) == told, "\(before) to \(after)")
            #expect(ledger.resynchronize(after).isEmpty, "what was told is known: \(after)")
        }
    }

    @Test func anEndReportedAroundAListIsDoubtful() {
        var ledger = GuestEventLedger([guest(.running, 5)])
        let end = GuestEventLedger.Report(event: GuestEvent(guest: name, kind: .stopped), id: nil)
        #expect(ledger.doubtfulRun(end) == 5)
        _ = kinds(&ledger, [(.stopped, nil), (.started, 6)])
        #expect(ledger.doubtfulRun(end) == nil, "the start was told after the list")
    }
}
