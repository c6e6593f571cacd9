// SPDX-License-Identifier: Apache-2.0

import LXCCore
import LibvirtXML
import TestSupport
import Testing

@Suite(.limited) struct RoundTripTests {
    /// Every domain the model can hold is the same after it was written and read, to the last byte, and libvirt's
    /// schema accepts each.
    @Test func everyDomainSurvives() throws {
        for seed in UInt64(0)..<400 {
            var generator = DomainGenerator(seed: seed)
            let domain = try generator.domain()
            let text = try valid(domain)
            let again = try Domain(xml: text)
            #expect(again == domain, "seed \(seed)")
            #expect(try Array(again.xml().utf8) == Array(text.utf8), "seed \(seed)")
            for interface in domain.interfaces {
                #expect(try Interface(xml: interface.xml()) == interface, "seed \(seed)")
            }
        }
    }

    /// Text is compared byte by byte: equal strings may still differ in their bytes.
    @Test(arguments: [
        "<>&'\"", "]]>", "&lt;", "line\nline", "\ttab", "trailing \n", " ", "\r", "\r\n", "e\u{301}", "\u{10fffd}",
        "<!DOCTYPE x>", "",
    ])
    func textSurvivesToTheByte(_ text: String) throws {
        let argument = "-" + text.replacing("\r\n", with: "").replacing("\r", with: "")
        let domain = container {
            $0.description = text
            $0.os.initArguments = [argument]
            $0.metadata = [
                XMLFragment(
                    XMLName("x", namespace: "urn:x", prefix: "x"),
                    declarations: [XMLFragment.Declaration(prefix: "x", namespace: "urn:x")],
                    attributes: [XMLFragment.Attribute("a", text)])
            ]
        }
        let again = try Domain(xml: valid(domain))
        #expect(again.description.map { Array($0.utf8) } == Array(text.utf8))
        #expect(again.os.initArguments.map { Array($0.utf8) } == [Array(argument.utf8)])
        #expect(again.metadata.first?[attribute: "a"].map { Array($0.utf8) } == Array(text.utf8))
        #expect(again == domain)
    }

    @Test(
        arguments: [
            ("1024", nil, 1024 << 10), ("3", "b", 3), ("3", "bytes", 3), ("2", "KB", 2000), ("2", "k", 2048),
            ("2", "KiB", 2048), ("5", "MB", 5_000_000), ("5", "MiB", 5 << 20), ("1", "GB", 1_000_000_000),
            ("1", "G", 1 << 30), ("1", "TB", 1_000_000_000_000), (" 7\n", "TiB", 7 << 40), ("1", "EiB", 1 << 60),
        ] as [(String, String?, UInt64)])
    func sizesAreReadInEveryUnit(_ number: String, _ unit: String?, _ bytes: UInt64) throws {
        let attribute = unit.map { " unit='\($0)'" } ?? ""
        let domain = try Domain(xml: "<domain type='lxc'><memory\(attribute)>\(number)</memory></domain>")
        #expect(domain.memory == ByteCount(bytes))
    }

    @Test func sizesAreWrittenInKiBRoundedUp() throws {
        let text = try valid(container { $0.memory = ByteCount(1025) })
        #expect(text.contains(#"<memory unit="KiB">2</memory>"#))
    }
}
