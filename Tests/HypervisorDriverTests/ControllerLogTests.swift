// SPDX-License-Identifier: Apache-2.0

import LXCCore
import Testing

@testable import HypervisorDriver

/// What libvirt's controller says of a start, in this package's words.
@Suite struct ControllerLogTests {
    private func log(_ words: String) -> String {
        """
        2026-11-30 17:00:00.000+0000: starting up
        2026-11-30 17:00:00.100+0000: 4711: info : libvirt version: 9.0.0
        \(words)

        """
    }

    @Test(
        arguments: [
            ("Exec format error", "another processor"), ("No such file or directory", "interpreter"),
            ("Permission denied", "mode"), ("Too many levels of symbolic links", "Too many levels"),
        ])
    func whyAProgramCannotBeExecuted(cause: String, words: String) throws {
        let reason = try #require(
            ControllerLog.reason(in: log("libvirt:  error : cannot execute binary /sbin/odd: \(cause)")))
        #expect(reason.contains("/sbin/odd") && reason.contains(words))
    }

    @Test func aMissingProgramIsNamed() throws {
        let words = "Failure in libvirt_lxc startup: cannot find init path '/no/such/init' relative to container root: "
        let reason = try #require(ControllerLog.reason(in: log(words + "No such file or directory")))
        #expect(reason == "there is no program /no/such/init in its root to be its process 1")
    }

    @Test func whatIsNotKnownIsRepeatedOnOneLine() throws {
        let reason = try #require(ControllerLog.reason(in: log("libvirt: LXC Driver error : something\tnew")))
        #expect(reason.contains("something") && !reason.contains("\t"))
        #expect(ControllerLog.reason(in: log("")) == nil)
        #expect(ControllerLog.reason(in: "") == nil)
    }

    @Test func thePrivateDaemonsLogsAreBesideItsSocket() {
        #expect(
            ControllerLog.directory("lxc:///system?socket=/run/a%20b/run/libvirt-sock") == "/run/a b/log/lxc")
        for uri: Locator in ["lxc:///", "lxc:///system", "lxc:///system?socket=/run/libvirt/libvirt-sock"] {
            #expect(ControllerLog.directory(uri) == "/var/log/libvirt/lxc")
        }
    }
}
