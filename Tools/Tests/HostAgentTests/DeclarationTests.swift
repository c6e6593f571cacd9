// SPDX-License-Identifier: Apache-2.0

import Foundation
import HostAgentPlan
import LXCHypervisor
import OperatorSupport
import Testing

/// The file that declares containers.
@Suite struct DeclarationTests {
    private static let template = "402b0be5-b840-3fef-b292-d330f3bf809a"

    private func read(_ text: String) throws -> Declaration {
        let path = FileManager.default.temporaryDirectory.path + "/declaration-\(UUID().uuidString).json"
        try Data(text.utf8).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try JSONFile.read(Declaration.self, "declaration", from: path)
    }

    private func container(_ name: String, _ rest: String = "") -> String {
        #"{"specification": {"name": "\#(name)", "template": "\#(Self.template)"}\#(rest)}"#
    }

    @Test func specificationsAndStates() throws {
        let text =
            #"{"containers": [\#(container("a")), \#(container("b", #", "state": "running""#)), "#
            + #"\#(container("c", #", "state": "stopped""#))]}"#
        let entries = try read(text).entries
        #expect(entries.map(\.specification.name.description) == ["a", "b", "c"])
        #expect(entries.map(\.isRunning) == [true, true, false])
        #expect(entries.allSatisfy { $0.specification.template.description == Self.template })
        #expect(try read(#"{"containers": []}"#).entries.isEmpty)
    }

    @Test func whatIsWrongIsSaidWithItsPlace() throws {
        let cases = [
            (#"{"containers": ["#, "JSON"), ("{}", "containers"), ("[]", "object"),
            (#"{"containers": [], "container": []}"#, "container"),
            (#"{"containers": [\#(container("a")), \#(container("a"))]}"#, "two containers have the name a"),
            (#"{"containers": [\#(container("a", #", "state": "paused""#))]}"#, "containers[0].state"),
            (#"{"containers": [\#(container("a", #", "stat": "running""#))]}"#, "stat"),
            (#"{"containers": [{"state": "running"}]}"#, "specification"),
            (#"{"containers": [\#(container("a")), \#(container("a b"))]}"#, "containers[1]"),
            (
                #"{"containers": [{"specification": {"name": "a", "template": "\#(Self.template)", "owner": ""}}]}"#,
                "owner"
            ),
        ]
        for (text, words) in cases {
            let error = #expect(throws: LXCError.self, "\(text)") { try read(text) }
            #expect(error?.message.contains(words) == true, "\(error?.message ?? text)")
            #expect(error?.message.contains("declaration-") == true, "the file is named")
        }
    }
}
