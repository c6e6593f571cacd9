// SPDX-License-Identifier: Apache-2.0

import LXCCore
import Testing

@Suite struct LocatorTests {
    @Test(arguments: [
        ("/srv/a.tar", "/srv/a.tar"), ("a b/c@d?e.tar", "a b/c@d?e.tar"), ("", ""),
        ("http://host/a.tar", "http://host/a.tar"), ("HTTP://Host:80/a.tar", "http://Host:80/a.tar"),
        ("http://alice:s3cr3t@host:8091/a.tar?token=T0P#frag", "http://host:8091/a.tar?…"),
        ("http://alice@host/a.tar", "http://host/a.tar"), ("http://a:b@c:s3cr3t@host/x", "http://host/x"),
        ("https://host/a@1.2/x.tar?a=1&b=2", "https://host/a@1.2/x.tar?…"),
        ("https://[::1]:443/x", "https://[::1]:443/x"),
        ("http://alice:s3c/r3t@host/x", "http://…"), ("http://alice:s3c?r3t@host/x", "http://…"),
        ("http://alice:s3c#r3t@host/x", "http://…"), ("http:/alice:s3cr3t@host/x", "http:/…"),
        ("http://alice:s3cr3t@\u{301}host/x", "http://\u{301}host/x"),
        ("http://host/x?\u{301}token=T", "http://host/x?…"),
        ("nfs://filer/x?version=4&nfsport=2", "nfs://filer/x?version=4&nfsport=2"),
        ("nfs://bob:s3cr3t@filer/x?version=4&key=s3cr3t&more=1", "nfs://filer/x?version=4&…"),
        ("lxc:///system?socket=/run/a", "lxc:///system?socket=/run/a"), ("file:///a/b", "file:///a/b"),
        ("qemu+ssh://root:s3cr3t@host/system?keyfile=/k", "qemu+ssh://host/system?…"),
    ])
    func showsNoSecret(_ text: String, _ shown: String) {
        let locator = Locator(text)
        #expect(locator.description == shown)
        #expect(locator.revealed == text)
    }

    @Test func noWayOfPrintingShowsASecret() {
        struct Holder { let source: Locator = "http://alice:s3cr3t@host/x?t=s3cr3t" }
        var dumped = ""
        dump(Holder(), to: &dumped)
        for text in ["\(Holder())", String(reflecting: Holder()), String(describing: [Holder().source]), dumped] {
            #expect(!text.contains("s3cr3t"), "\(text)")
        }
    }
}
