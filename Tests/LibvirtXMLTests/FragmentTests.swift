// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LibvirtXML
import TestSupport
import Testing

@Suite(.limited) struct FragmentTests {
    @Test(arguments: [
        "<a/>", "<a b='1' c=''/>", "<a>text</a>", "<a> </a>", "<a>one<b/>two <c>three</c></a>",
        "<a xmlns='urn:a'><b xmlns=''><c xmlns='urn:a'/></b></a>",
        "<p:a xmlns:p='urn:p' p:b='1' b='2'><p:c xmlns:p='urn:q'/></p:a>",
        "<a xmlns='urn:a' xmlns:a='urn:a' a:b='1'/>", "<a xml:lang='de' xml:space='preserve'/>",
        "<a unused:b='' xmlns:unused='urn:u' xmlns:never='urn:n'/>",
    ])
    func elementsSurvive(_ text: String) throws {
        let fragment = try XMLFragment(xml: text)
        #expect(try XMLFragment(xml: fragment.xml()) == fragment)
    }

    @Test func layoutAndCommentsAreLeftOut() throws {
        let plain = try XMLFragment(xml: "<a><b>x y</b><c/></a>")
        #expect(try XMLFragment(xml: "<a>\n  <b>x<!-- - --> y</b>\n\t<?p i?><c/> <!-- -->\r\n</a>") == plain)
        #expect(try XMLFragment(xml: "<a><b><![CDATA[x]]> y</b><c></c></a>") == plain)
    }

    /// A name says its namespace; the declarations it needs are written without being asked for.
    @Test func namespacesAreDeclaredWhereNeeded() throws {
        let inner = XMLFragment(XMLName("in", namespace: "urn:i"), children: [.element(XMLFragment("none"))])
        let outer = XMLFragment(
            XMLName("out", namespace: "urn:o", prefix: "o"),
            attributes: [XMLFragment.Attribute(XMLName("a", namespace: "urn:i", prefix: "i"), "1")],
            children: [.element(inner)])
        let again = try XMLFragment(xml: outer.xml())
        #expect(again.name == outer.name)
        #expect(again[attribute: XMLName("a", namespace: "urn:i")] == "1")
        #expect(again.elements.map(\.name) == [inner.name])
        #expect(again.elements.first?.elements.map(\.name) == ["none"])
    }

    @Test(arguments: ["", "a b", "a:b", "1a", "a>", "<", "é\u{0}", "xmlns", "a/@b"])
    func namesAreNamesOfXML(_ name: String) throws {
        #expect(failure { try XMLFragment(XMLName(name)).xml() }?.code == .invalidArgument)
        let attribute = XMLFragment.Attribute(XMLName(name), "")
        #expect(failure { try XMLFragment("a", attributes: [attribute]).xml() }?.code == .invalidArgument)
        let element = XMLFragment.Node.element(XMLFragment(XMLName("b", namespace: "urn:b", prefix: name)))
        #expect(failure { try XMLFragment("a", children: [element]).xml() }?.code == .invalidArgument)
    }

    @Test func whatWouldNotBeReadBackIsRefused() throws {
        let one = XMLFragment.Attribute("b", "1")
        let fragments = [
            XMLFragment("a", attributes: [one, one]),
            XMLFragment("a", attributes: [XMLFragment.Attribute(XMLName("b", namespace: "urn:b"), "")]),
            XMLFragment("a", declarations: [XMLFragment.Declaration(prefix: "p", namespace: "")]),
            XMLFragment("a", declarations: [XMLFragment.Declaration(prefix: "xml", namespace: "urn:p")]),
            XMLFragment(XMLName("a", namespace: "urn:p", prefix: "xml")),
            XMLFragment(XMLName("a", namespace: "http://www.w3.org/XML/1998/namespace")),
            XMLFragment(
                "a",
                declarations: [
                    XMLFragment.Declaration(prefix: "p", namespace: "urn:p"),
                    XMLFragment.Declaration(prefix: "p", namespace: "urn:q"),
                ]),
            XMLFragment("a", declarations: [XMLFragment.Declaration(prefix: nil, namespace: "urn:p")]),
            XMLFragment("a", text: "\u{b}"),
        ]
        for fragment in fragments {
            #expect(failure { try fragment.xml() }?.code == .invalidArgument, "\(fragment)")
        }
        let deep = (0..<64).reduce(XMLFragment("a")) { inner, _ in XMLFragment("a", children: [.element(inner)]) }
        #expect(failure { try deep.xml() }?.code == .limitExceeded)
    }

    @Test func containerMetadataSurvives() throws {
        var metadata = ContainerMetadata(
            pool: .random(), volume: .random(), template: .random(), owner: "<&'\"> \u{1f600}",
            networks: [
                .init(device: 0, traffic: "Guest"),
                .init(device: 65_535, traffic: "Public", broadcast: "vxlan://5", label: "cloudbr0"),
                .init(device: 1, traffic: "Guest", security: .init()),
                .init(device: 2, traffic: "Guest", security: .init(rules: [])),
                .init(
                    device: 3, traffic: "Guest",
                    security: .init(addresses: ["10.1.2.3", "2001:db8::3"], rules: ["I:tcp;22;22;10.0.0.0/8"])),
            ])
        metadata.consoleLog = .mebibytes(1)
        #expect(try ContainerMetadata(xml: metadata.xml()) == metadata)
        let little = ContainerMetadata(pool: .random(), volume: .random())
        #expect(try ContainerMetadata(xml: little.xml()) == little)
        var domain = container()
        #expect(try domain.containerMetadata() == nil)
        try domain.setContainerMetadata(metadata)
        #expect(try domain.metadata.first?.xmlWithoutNamespace().contains("xmlns") == false)
        #expect(try Domain(xml: valid(domain)).containerMetadata() == metadata)
        try domain.setContainerMetadata(little)
        #expect(try Domain(xml: valid(domain)).containerMetadata() == little)
        try domain.setContainerMetadata(metadata)
        #expect(try domain.containerMetadata() == metadata)
        try domain.setContainerMetadata(nil)
        #expect(domain.metadata.isEmpty)
    }

    @Test func whatANewerVersionKeptStays() throws {
        var domain = try Domain(
            xml: """
                <domain type='lxc'><name>a</name><metadata><h:container xmlns:h='\(ContainerMetadata.namespace)' v='2'>
                <h:pool>7a1a4ff6-0f4a-4d5c-a9d9-0f4f0a7b2f53</h:pool><h:future>f</h:future>
                <h:volume>7a1a4ff6-0f4a-4d5c-a9d9-0f4f0a7b2f54</h:volume></h:container></metadata>
                <os><type>exe</type></os></domain>
                """)
        var metadata = try #require(try domain.containerMetadata())
        metadata.owner = "me"
        try domain.setContainerMetadata(metadata)
        let again = try Domain(xml: valid(domain))
        #expect(try again.containerMetadata() == metadata)
        let element = try #require(again.metadata.first)
        #expect(element[attribute: "v"] == "2")
        #expect(element.elements.contains { $0.name.local == "future" && $0.text == "f" })
    }

    @Test(arguments: ["", "<h:pool>x</h:pool>", "<h:pool>7a1a4ff6-0f4a-4d5c-a9d9-0f4f0a7b2f53</h:pool>"])
    func damagedMetadataIsCorrupt(_ content: String) throws {
        let text = "<h:container xmlns:h='\(ContainerMetadata.namespace)'>\(content)</h:container>"
        #expect(failure { try ContainerMetadata(xml: text) }?.code == .corrupt)
        let domain = try Domain(xml: "<domain type='lxc'><metadata>\(text)</metadata></domain>")
        #expect(failure { try domain.containerMetadata() }?.code == .corrupt)
    }

    @Test(arguments: [
        ("02:00:4C:3b:00:01", "02:00:4c:3b:00:01"), ("52-54-00-AA-BB-CC", "52:54:00:aa:bb:cc"),
        ("00:00:00:00:00:01", "00:00:00:00:00:01"), ("fe:ff:ff:ff:ff:ff", "fe:ff:ff:ff:ff:ff"),
    ])
    func hardwareAddressesAreRead(_ text: String, _ canonical: String) throws {
        #expect(try MACAddress(text).description == canonical)
        #expect(try MACAddress(canonical) == MACAddress(text))
    }

    @Test(arguments: [
        "", "02:00:4c:3b:00", "02:00:4c:3b:00:01:02", "2:0:4c:3b:0:1", "02:00:4c:3b:00:0g", "+2:00:4c:3b:00:01",
        "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "02:00-4c:3b:00:01", "02004c3b0001",
        "02:00:4c:3b:00:01\n", "０２:00:4c:3b:00:01",
    ])
    func whatIsNoHardwareAddressIsRefused(_ text: String) throws {
        #expect(failure { try MACAddress(text) }?.code == .invalidArgument)
    }
}
