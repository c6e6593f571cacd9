// SPDX-License-Identifier: Apache-2.0

import HypervisorDriver
import LXCCore
import Testing

/// What a command needs to know of a container, read from text.
@Suite struct ExecutionTests {
    private let accounts = GuestAccounts(
        passwd: """
            root:x:0:0:root:/root:/bin/sh
            broken line
            web:x:33:33:www:/var/www:/usr/sbin/nologin
            negative:x:-1:0::/:/bin/sh
            web:x:34:34:second:/elsewhere:/bin/sh
            """,
        group: """
            root:x:0:
            www:x:33:web
            adm:x:4:syslog,web
            webs:x:99:webmaster
            odd
            shared:x:1000:web,web
            """)

    @Test func usersAreFoundByNameAndNumber() throws {
        #expect(accounts.user { $0.id == 0 }?.home == "/root")
        let web = try #require(accounts.user { $0.name == "web" })
        #expect((web.id, web.group, web.home) == (33, 33, "/var/www"), "the first of the name counts")
        #expect(accounts.user { $0.name == "negative" } == nil)
        #expect(accounts.user { $0.name == "broken line" } == nil)
        #expect(accounts.groups(of: web) == [4, 1000], "the user's own group is not repeated")
    }
}
