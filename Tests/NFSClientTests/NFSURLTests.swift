// SPDX-License-Identifier: Apache-2.0

import LXCCore
import NFSClient
import TestSupport
import Testing

@Suite(.limited) struct NFSURLTests {
    @Test(arguments: [
        ("nfs://filer/export", "filer", "/export"),
        ("nfs://10.0.0.1/export/lxc/primary", "10.0.0.1", "/export/lxc/primary"),
        ("nfs://filer/export/?nfsport=12049&mountport=12050", "filer", "/export/"),
        ("nfs://[fe80::1]/export", "fe80::1", "/export"),
        ("nfs://filer/a%20b", "filer", "/a%20b"),
    ])
    func readsServerAndPath(_ text: String, _ server: String, _ path: String) throws {
        let url = try NFSURL(parsing: text)
        #expect(url.server == server)
        #expect(url.path == path)
        #expect(url.description == text)
    }

    @Test func readsParameters() throws {
        let url = try NFSURL(
            parsing: "nfs://filer:1/x?version=4&nfsport=2&mountport=3&uid=4294967294&gid=5&readahead=9&tcp-syncnt=1")
        #expect(url.version == 4)
        #expect(url.port == 2)
        #expect(url.mountPort == 3)
        #expect(url.user == 4_294_967_294)
        #expect(url.group == 5)
    }

    @Test func takesThePortOfTheServer() throws {
        #expect(try NFSURL(parsing: "nfs://filer:12049/x").port == 12_049)
        #expect(try NFSURL(parsing: "nfs://[::1]:12049/x").port == 12_049)
        let plain = try NFSURL(parsing: "nfs://filer/x")
        #expect(plain.port == nil && plain.mountPort == nil && plain.user == nil && plain.group == nil)
        #expect(plain.version == 3)
    }

    @Test(arguments: [
        "", "nfs://", "nfs:///export", "nfs://filer", "nfs://filer/", "/export", "http://filer/export",
        "nfs://filer/x?version=2", "nfs://filer/x?nfsport=65536", "nfs://filer/x?nfsport=", "nfs://filer/x?uid=-1",
        "nfs://filer/x?uid=+1", "nfs://filer/x?unknown=1", "nfs://filer:/x", "nfs://filer:x/x", "nfs://[::1/x",
        "nfs://[::1]x/x", "nfs://user@filer/x", "nfs://filer?version=3", "nfs://filer/x\0y",
    ])
    func refusesWhatNamesNoDirectory(_ text: String) {
        expect(.invalidArgument) { try NFSURL(parsing: text) }
    }
}
