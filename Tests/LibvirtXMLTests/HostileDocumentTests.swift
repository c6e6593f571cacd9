// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LibvirtXML
import TestSupport
import Testing

/// Documents made to harm their reader.
@Suite(.limited) struct HostileDocumentTests {
    @Test(arguments: [
        "<!DOCTYPE domain><domain type='lxc'/>",
        "<!DOCTYPE domain SYSTEM 'http://127.0.0.1:9/x.dtd'><domain type='lxc'/>",
        "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><domain type='lxc'><name>&x;</name></domain>",
        "<!DOCTYPE d [<!ENTITY % p SYSTEM 'file:///etc/passwd'> %p;]><domain type='lxc'/>",
        "<!DOCTYPE d [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>"
            + "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;'><!ENTITY d '&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;'>]>"
            + "<domain type='lxc' x='&d;'><name>&d;</name></domain>",
        "<!DOCTYPE d [<!ATTLIST domain type CDATA 'kvm'>]><domain/>",
        "<?xml version='1.0'?>\n<!-- -->\n<!DOCTYPE d [<!ENTITY a '&a;'>]><domain type='lxc'>&a;</domain>",
        "<!DOCTYPE d",
    ])
    func aDocumentTypeIsRefused(_ text: String) throws {
        let error = failure { try Domain(xml: text) }
        #expect(error?.code == .unsafe || (text == "<!DOCTYPE d" && error?.code == .corrupt))
        #expect(failure { try Interface(xml: text) }?.code == error?.code)
    }

    @Test(arguments: ["lxc", "&lt;x>", "&x;", "&#0;", "&#xFFFE;", "\u{1}", "<", "a<b", "\u{0}"])
    func whatIsNotXMLIsCorrupt(_ text: String) throws {
        let text = text == "lxc" || text == "&lt;x>" ? text : "<domain type='lxc'><name>\(text)</name></domain>"
        #expect(failure { try Domain(xml: text) }?.code == .corrupt)
    }

    @Test func theLineOfTheFirstErrorIsNamed() throws {
        let error = failure { try Domain(xml: "<domain type='lxc'>\n<name>x</name>\n<memory></name>\n</domain>") }
        #expect(error?.code == .corrupt)
        #expect(error?.message.contains("line 3") == true)
        #expect(error?.message.contains("\n") == false)
    }

    @Test func prefixesWithoutANamespaceAreCorrupt() throws {
        #expect(failure { try Domain(xml: "<domain type='lxc'><x:name>a</x:name></domain>") }?.code == .corrupt)
    }

    /// Each document that ends too early is an error and nothing else.
    @Test func aDocumentCutShortIsCorrupt() throws {
        let text =
            "<?xml version='1.0' encoding='UTF-8'?><domain type='lxc' xmlns:a='urn:a'><!-- é --><name>x&amp;"
            + "<![CDATA[y]]></name><a:b c='&#65;'/><?p i?></domain>"
        #expect(try Domain(xml: text).name == "x&y")
        let bytes = Array(text.utf8)
        for count in bytes.indices {
            #expect(failure { try Domain(xml: bytes.prefix(count)) }?.code == .corrupt, "cut at \(count)")
        }
    }

    /// One byte changed anywhere is read or refused; nothing worse happens.
    @Test func aDocumentWithADamagedByteIsReadOrRefused() throws {
        let bytes = Array(
            "<domain type='lxc' id='1'><name>x&amp;é</name><!-- c --><os><type>exe</type></os></domain>".utf8)
        for index in bytes.indices {
            for byte in UInt8.min...UInt8.max {
                var damaged = bytes
                damaged[index] = byte
                do { _ = try Domain(xml: damaged) } catch { #expect(error is LXCError) }
            }
        }
    }

    @Test func depthIsLimited() throws {
        func nested(_ depth: Int) -> String {
            "<domain type='lxc'>" + String(repeating: "<a>", count: depth - 1)
                + String(repeating: "</a>", count: depth - 1) + "</domain>"
        }
        #expect(try Domain(xml: nested(64)).other.elements.count == 1)
        #expect(failure { try Domain(xml: nested(65)) }?.code == .limitExceeded)
        #expect(failure { try Domain(xml: nested(300)) }?.code == .limitExceeded)
        #expect(failure { try Domain(xml: nested(100_000)) }?.code == .limitExceeded)
        #expect(failure { try Domain(xml: String(repeating: "<a>", count: 100_000)) }?.code == .limitExceeded)
    }

    @Test func sizeIsLimited() throws {
        func document(of count: Int) -> String {
            let frame = "<domain type='lxc'><description></description></domain>"
            let filling = String(repeating: "x", count: count - frame.utf8.count)
            return frame.replacing("<description>", with: "<description>\(filling)")
        }
        #expect(try Domain(xml: document(of: 4 << 20)).description?.utf8.count ?? 0 > 4 << 19)
        #expect(failure { try Domain(xml: document(of: 4 << 20 + 1)) }?.code == .limitExceeded)
        #expect(failure { try Domain(xml: Array(document(of: 5 << 20).utf8)) }?.code == .limitExceeded)
        let large = container { $0.description = String(repeating: "x", count: 4 << 20) }
        #expect(failure { try large.xml() }?.code == .limitExceeded)
    }

    @Test func manyAttributesAndElementsAreRead() throws {
        let attributes = (0..<20_000).map { " a\($0)=''" }.joined()
        let elements = (0..<20_000).map { "<e\($0)/>" }.joined()
        let domain = try Domain(xml: "<domain type='lxc'\(attributes)>\(elements)</domain>")
        #expect(domain.other.attributes.count == 20_000 && domain.other.elements.count == 20_000)
    }

    @Test func anotherEncodingIsRefused() throws {
        let latin: [UInt8] = Array("<domain type='lxc'><name>".utf8) + [0xe9] + Array("</name></domain>".utf8)
        #expect(failure { try Domain(xml: latin) }?.code == .corrupt)
        let wide = try #require("<domain type='lxc'/>".data(using: .utf16))
        #expect(failure { try Domain(xml: wide) }?.code == .corrupt)
        // A declaration cannot make the reader see other characters than its caller saw.
        let text = "<?xml version='1.0' encoding='UTF-7'?><domain type='lxc'><name>+ADw-</name></domain>"
        #expect((try? Domain(xml: text).name) ?? "+ADw-" == "+ADw-")
    }

    @Test(arguments: [
        "<domain/>", "<network type='lxc'/>", "<x:domain xmlns:x='urn:x' type='lxc'/>",
        "<domain type='lxc'><name>a</name><name>b</name></domain>",
        "<domain type='lxc'><memory>-1</memory></domain>", "<domain type='lxc'><memory/></domain>",
        "<domain type='lxc'><memory unit='EiB'>99</memory></domain>",
        "<domain type='lxc'><memory unit='parsec'>1</memory></domain>",
        "<domain type='lxc'><memory>99999999999999999999</memory></domain>",
        "<domain type='lxc'><vcpu>two</vcpu></domain>", "<domain type='lxc'><uuid>x</uuid></domain>",
        "<domain type='lxc'><uuid>7a1a4ff6-0f4a-4d5c-a9d9-0f4f0a7b2f5</uuid></domain>",
        "<domain type='lxc'><idmap><uid start='0' target='5' count='1'/></idmap></domain>",
        "<domain type='lxc'><idmap><uid start='1' target='5' count='1'/><gid start='0' target='5' count='1'/></idmap></domain>",
        "<domain type='lxc'><idmap><uid start='0' count='1'/><gid start='0' target='5' count='1'/></idmap></domain>",
        "<domain type='lxc'><idmap><map/></idmap></domain>",
        "<domain type='lxc'><devices><interface/></devices></domain>",
        "<domain type='lxc'><devices><interface type='bridge'><mac address='x'/></interface></devices></domain>",
        "<domain type='lxc'><devices><filesystem><source dir='/'/></filesystem></devices></domain>",
        "<domain type='lxc'><devices><disk/></devices></domain>",
    ])
    func whatCannotBeMeantIsCorrupt(_ text: String) throws {
        let error = failure { try Domain(xml: text) }
        #expect(error?.code == .corrupt)
        #expect(error?.message.isEmpty == false)
    }

    @Test func anotherHypervisorIsUnsupported() throws {
        #expect(failure { try Domain(xml: "<domain type='xen'/>") }?.code == .unsupported)
    }

    /// Nothing of what a document says can forge a line of a log.
    @Test func errorsAreOneLine() throws {
        for text in ["<domain type='a&#10;b'/>", "<domain type='lxc'><vcpu>1\n2</vcpu></domain>", "<a\n<"] {
            let error = failure { try Domain(xml: text) }
            #expect(error?.description.contains { $0.isNewline } == false)
        }
    }

    /// A thousand documents at once, good and bad, on several threads.
    @Test func readersDoNotDisturbEachOther() async throws {
        await withTaskGroup(of: Bool.self) { group in
            for number in 0..<1000 {
                group.addTask {
                    let isGood = number % 2 == 0
                    let text = "<domain type='lxc'><name>n\(number)</name>" + (isGood ? "</domain>" : "<")
                    guard let domain = try? Domain(xml: text) else { return !isGood }
                    return isGood && domain.name == "n\(number)" && (try? Domain(xml: domain.xml())) == domain
                }
            }
            for await isRight in group { #expect(isRight) }
        }
    }
}
