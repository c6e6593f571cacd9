// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import LXCCore

/// The state of the guests according to the events reported so far, so that each change is reported once.
///
/// A hypervisor reports some ends twice (libvirt's LXC driver does, once for the caller that destroys a guest and once
/// for its watcher), and nothing while it cannot be reached. Reports are compared with the known state, and after a
/// loss the known state with a list of the guests.
struct GuestEventLedger: Sendable {
    /// An event as the hypervisor reports it.
    struct Report: Sendable {
        var event: GuestEvent
        /// The guest's ``Guest/id`` when it was reported.
        var id: Int32?
    }

    private struct Known {
        var uuid: UUID?
        var isDefined: Bool
        var isActive = false
        var isPaused = false
        var isEnding = false
        var id: Int32?
        /// Whether a report of an end may still be under way that is older than the list this was read from.
        var isFromList = false
    }

    private var known: [GuestName: Known]

    /// Begins with the guests there are.
    init(_ guests: [Guest]) {
        known = Dictionary(guests.map { ($0.name, Self.entry($0)) }, uniquingKeysWith: { $1 })
    }

    private static func entry(_ guest: Guest) -> Known {
        Known(
            uuid: guest.uuid, isDefined: !guest.isTransient, isActive: guest.state.isActive,
            isPaused: guest.state == .paused, id: guest.id, isFromList: true)
    }

    /// The id of a run whose end this reports, if the report may be of an earlier run: it is, if the guest still runs
    /// under that id.
    func doubtfulRun(_ report: Report) -> Int32? {
        guard report.event.kind == .stopped || report.event.kind == .crashed,
            let entry = known[report.event.guest], entry.isActive, entry.isFromList
        else { return nil }
        return entry.id
    }

    /// The events that follow from a report: none if all of it is known.
    mutating func take(_ report: Report) -> [GuestEvent] {
        let name = report.event.guest
        var entry = known[name] ?? Known(isDefined: false)
        var events = [report.event]
        switch report.event.kind {
        case .defined: entry.isDefined = true
        case .undefined:
            if !entry.isDefined { return [] }
            entry.isDefined = false
        case .started:
            if entry.isActive {
                if report.id == nil || report.id == entry.id { return [] }
                events.insert(GuestEvent(guest: name, kind: .stopped), at: 0)
            }
            entry = Known(uuid: entry.uuid, isDefined: entry.isDefined, isActive: true, id: report.id)
        case .suspended:
            if entry.isPaused { return [] }
            entry.isPaused = true
        case .resumed:
            if !entry.isPaused { return [] }
            entry.isPaused = false
        case .shutdown:
            if entry.isEnding || !entry.isActive { return [] }
            entry.isEnding = true
        case .stopped, .crashed:
            if !entry.isActive { return [] }
            entry = Known(uuid: entry.uuid, isDefined: entry.isDefined)
        }
        known[name] = entry.isDefined || entry.isActive ? entry : nil
        return events
    }

    /// The events that lead from what was known to the guests there are.
    mutating func resynchronize(_ guests: [Guest]) -> [GuestEvent] {
        var events: [GuestEvent] = []
        let present = Dictionary(guests.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
        for (name, entry) in known.sorted(by: { $0.key < $1.key })
        where present[name]?.uuid != (entry.uuid ?? present[name]?.uuid) {
            events += Self.end(of: name, entry, as: .stopped)
            if entry.isDefined { events.append(GuestEvent(guest: name, kind: .undefined)) }
            known[name] = nil
        }
        for guest in guests.sorted(by: { $0.name < $1.name }) {
            events += Self.changes(known[guest.name] ?? Known(isDefined: false), guest)
        }
        known = Self(guests).known
        return events
    }

    private static func end(of name: GuestName, _ entry: Known, as kind: GuestEvent.Kind) -> [GuestEvent] {
        entry.isActive ? [GuestEvent(guest: name, kind: kind)] : []
    }

    private static func changes(_ old: Known, _ guest: Guest) -> [GuestEvent] {
        var kinds: [GuestEvent.Kind] = []
        let isSameRun = old.isActive && guest.state.isActive && old.id == guest.id
        if old.isActive, !isSameRun { kinds.append(guest.state == .crashed ? .crashed : .stopped) }
        if old.isDefined, guest.isTransient { kinds.append(.undefined) }
        if !old.isDefined, !guest.isTransient { kinds.append(.defined) }
        if guest.state.isActive, !isSameRun { kinds.append(.started) }
        let wasPaused = isSameRun && old.isPaused
        if (guest.state == .paused) != wasPaused { kinds.append(wasPaused ? .resumed : .suspended) }
        return kinds.filter { $0 != .resumed || isSameRun }.map { GuestEvent(guest: guest.name, kind: $0) }
    }
}
