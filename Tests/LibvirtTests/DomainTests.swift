// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import Libvirt
import Logging
import TestSupport
import Testing

@Suite(.limited) struct DomainTests {
    @Test func livesFromDefineToUndefine() async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        let identity = try await connection.define(xml: document("web"))
        #expect(identity.name == "web")
        #expect(identity.id == nil)
        #expect(try await connection.status(of: "web").state == .shutOff)

        try await connection.start("web")
        let running = try await connection.summary(of: "web")
        #expect(running.isActive)
        #expect(running.isPersistent)
        #expect(running.state == .running)
        #expect(running.identity.uuid == identity.uuid)

        try await connection.suspend("web")
        #expect(try await connection.status(of: "web").state == .paused)
        try await connection.resume("web")
        #expect(try await connection.status(of: "web").state == .running)
        try await connection.reboot("web")
        try await connection.shutDown("web")
        #expect(try await connection.status(of: "web").state == .shutOff)
        try await connection.undefine("web")
        #expect(try await connection.domains().isEmpty)
        await connection.close()
    }

    @Test func transientDomainIsGoneWhenItStops() async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        let identity = try await connection.create(xml: document("fleeting"))
        #expect(identity.id != nil)
        let listed = try await connection.domains()
        #expect(listed.map(\.identity) == [identity])
        #expect(listed.map(\.isPersistent) == [false])
        try await connection.destroy("fleeting")
        #expect(try await connection.domains().isEmpty)
        await connection.close()
    }

    @Test func infoAndDocumentTellWhatWasDefined() async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        try await connection.define(xml: document("sized", memory: 131072))
        try await connection.start("sized")
        let info = try await connection.info(of: "sized")
        #expect(info.state == .running)
        #expect(info.maximumMemory == .mebibytes(128))
        #expect(info.virtualCPUs == 2)
        #expect(try await connection.xml(of: "sized", options: [.inactive]).contains("<name>sized</name>"))
        try await connection.setMemory(.mebibytes(64), of: "sized", affecting: .live)
        #expect(try await connection.info(of: "sized").memory == .mebibytes(64))
        await connection.close()
    }

    @Test func parametersKeepTheirTypes() async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        try await connection.create(xml: document("tuned"))
        try await connection.setMemoryParameters(
            ["hard_limit": .unsignedLong(131072), "soft_limit": .unsignedLong(65536)], of: "tuned", affecting: .live)
        let limits = try await connection.memoryParameters(of: "tuned", affecting: .live)
        #expect(limits["hard_limit"] == .unsignedLong(131072))
        #expect(limits["soft_limit"] == .unsignedLong(65536))
        await expect(.invalidArgument) {
            try await connection.setMemoryParameters(["hard_limit": .string("x")], of: "tuned", affecting: .live)
        }
        await connection.close()
    }

    @Test func metadataIsKeptReplacedAndRemoved() async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        try await connection.define(xml: document("labelled"))
        let namespace = "urn:example:labels"
        #expect(try await connection.metadata(of: "labelled", namespace: namespace) == nil)
        for owner in ["first", "second"] {
            try await connection.setMetadata(
                "<owner name='\(owner)'/>", of: "labelled", namespace: namespace, prefix: "label", affecting: .config)
            #expect(try await connection.metadata(of: "labelled", namespace: namespace)?.contains(owner) == true)
        }
        await expect(.invalidArgument) {
            try await connection.setMetadata(
                "<a/><b", of: "labelled", namespace: namespace, prefix: "label", affecting: .config)
        }
        try await connection.setMetadata(
            nil, of: "labelled", namespace: namespace, prefix: "label", affecting: .config)
        #expect(try await connection.metadata(of: "labelled", namespace: namespace) == nil)
        await connection.close()
    }

    @Test func autostartIsKept() async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        try await connection.define(xml: document("early"))
        #expect(try await !connection.isAutostarted("early"))
        try await connection.setAutostart("early", true)
        #expect(try await connection.isAutostarted("early"))
        await connection.close()
    }
}

@Suite(.limited) struct LibvirtErrorTests {
    @Test func missingDomainIsNotFoundAndKeepsLibvirtsNumbers() async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        let error = await expect(.notFound) { try await connection.start("missing") }
        #expect(error?.message.contains("missing") == true)
        let cause = try #require(error?.cause as? LibvirtError)
        #expect(cause.code == 42)  // VIR_ERR_NO_DOMAIN
        #expect(cause.domain == 12)  // VIR_FROM_TEST
        #expect(cause.level == 2)  // VIR_ERR_ERROR
        #expect(!cause.message.isEmpty)
        await connection.close()
    }

    @Test func destroyingWhatDoesNotRunIsInvalidState() async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        try await connection.define(xml: document("once"))
        await expect(.invalidState) { try await connection.destroy("once") }
        await connection.close()
    }

    @Test func whatADriverLacksIsUnsupported() async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        try await connection.create(xml: document("plain"))
        await expect(.unsupported) {
            try await connection.updateDevice(xml: "<input type='mouse'/>", of: "plain", affecting: .live)
        }
        await connection.close()
    }

    @Test func aDriverWithoutConsolesSaysSo() async throws {
        let connection = try await LibvirtConnection.open("test:///default", logger: Logger(label: "test"))
        await expect(.unsupported) { _ = try await connection.openConsole(of: "test") }
        await connection.close()
    }

    @Test(arguments: [
        "", "<domain", "<domain type='test'/>", "<domain type='nonsense'><name>x</name></domain>",
        "<!DOCTYPE d [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><domain type='test'><name>&e;</name></domain>",
        "<domain type='test'><name>a/b</name><memory>1</memory><os><type>hvm</type></os></domain>",
        "<domain type='test'><name>x</name><memory>1</memory><os><type>hvm</type></os></domain>\u{0}<rest/>",
    ])
    func hostileDocumentsAreRefused(xml: String) async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        let error = await #expect(throws: LXCError.self) { try await connection.define(xml: xml) }
        #expect(error?.code == .invalidArgument, "\(String(describing: error))")
        #expect(error?.description.contains("\n") == false)
        #expect(error?.description.contains("root:") == false)
        #expect(try await connection.domains().isEmpty)
        await connection.close()
    }

    @Test func nameWithNULNeverReachesAnotherDomain() async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        try await connection.create(xml: document("victim"))
        await expect(.invalidArgument) { try await connection.destroy("victim\u{0}x") }
        #expect(try await connection.status(of: "victim").state == .running)
        await connection.close()
    }

    @Test func wordsFromOutsideStayOnOneLine() {
        let error = LibvirtError(code: 1, domain: 2, level: 2, message: "first\nsecond\u{1b}[31m")
        #expect(!error.description.contains("\n"))
        #expect(!error.description.contains("\u{1b}"))
    }
}

@Suite(.limited) struct LifecycleEventTests {
    @Test func eventsArriveInOrder() async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        let events = try await connection.lifecycleEvents()
        let identity = try await connection.define(xml: document("watched"))
        try await connection.start("watched")
        try await connection.suspend("watched")
        try await connection.resume("watched")
        try await connection.destroy("watched")
        try await connection.undefine("watched")

        var seen: [DomainEvent.Kind] = []
        for try await event in events {
            #expect(event.name == "watched")
            #expect(event.uuid == identity.uuid)
            seen.append(event.kind)
            if event.kind == .undefined { break }
        }
        #expect(seen == [.defined, .started, .suspended, .resumed, .stopped, .undefined])
        await connection.close()
    }

    @Test func everySubscriberSeesEveryEvent() async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        let first = try await connection.lifecycleEvents()
        let second = try await connection.lifecycleEvents()
        try await connection.define(xml: document("shared"))
        for stream in [first, second] {
            var iterator = stream.makeAsyncIterator()
            #expect(try await iterator.next()?.kind == .defined)
        }
        await connection.close()
    }

    @Test func closingEndsTheStreamWithAnError() async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        let events = try await connection.lifecycleEvents()
        await connection.close()
        await expect(.unavailable) { for try await _ in events {} }
    }

    @Test func droppingTheConnectionEndsTheStream() async throws {
        let host = try TestHost()
        var connection: LibvirtConnection? = try await host.connect()
        let events = try #require(try await connection?.lifecycleEvents())
        connection = nil
        await expect(.unavailable) { for try await _ in events {} }
    }

    @Test func aReaderThatLeavesDisturbsNobody() async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        let stays = try await connection.lifecycleEvents()
        for _ in 0..<10 { _ = try await connection.lifecycleEvents() }
        try await connection.define(xml: document("seen"))
        var iterator = stays.makeAsyncIterator()
        #expect(try await iterator.next()?.name == "seen")
        await connection.close()
    }

    @Test func aReaderLeftBehindIsToldInsteadOfLosingEvents() async throws {
        let host = try TestHost()
        let connection = try await host.connect()
        let events = try await connection.lifecycleEvents()
        // A second reader, which keeps up, tells when all events have come: reading the first before would keep it up too.
        let others = try await connection.lifecycleEvents()
        let witness = Task {
            for try await event in others where event.kind == .undefined { return }
        }
        try await connection.define(xml: document("busy"))
        try await connection.start("busy")
        for _ in 0..<2100 {
            try await connection.suspend("busy")
            try await connection.resume("busy")
        }
        try await connection.destroy("busy")
        try await connection.undefine("busy")
        try await witness.value
        var count = 0
        await expect(.limitExceeded) { for try await _ in events { count += 1 } }
        #expect(count == 4096)
        await connection.close()
    }
}
