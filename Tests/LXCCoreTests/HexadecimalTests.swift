// SPDX-License-Identifier: Apache-2.0

import LXCCore
import Testing

@Suite struct HexadecimalTests {
    @Test func bytesAreTwoDigitsEach() {
        #expect([0, 0x0f, 0xa0, 0xff].hexadecimal == "000fa0ff")
        #expect(Hexadecimal.decode("000Fa0fF") == [0, 0x0f, 0xa0, 0xff])
        #expect(Hexadecimal.decode("") == [])
    }

    @Test(arguments: ["0", "0g", "+f", " f", "0x", "é0", "000"])
    func otherTextIsRefused(_ text: String) {
        #expect(Hexadecimal.decode(text) == nil)
    }

    @Test func percentEncodingIsDecoded() {
        #expect(PercentEncoding.decode("a%20b%2Fc".utf8) == Array("a b/c".utf8))
        #expect(PercentEncoding.decode("%00%ff".utf8) == [0, 0xff])
        for text in ["%", "%2", "a%2", "%+f", "%zz"] { #expect(PercentEncoding.decode(text.utf8) == nil) }
    }
}
