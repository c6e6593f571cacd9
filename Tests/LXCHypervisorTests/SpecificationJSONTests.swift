// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LXCHypervisor
import Testing

/// What is said of a specification that is no specification: our own words, not those of Foundation.
@Suite struct SpecificationJSONTests {
    private static let id = "0aa7d4f5-1c6c-4d6c-8f0b-0a9b8c7d6e5f"

    private func error<Value: Decodable>(_ type: Value.Type, _ members: String) -> (any Error)? {
        let text = "{\"name\": \"web1\", \"template\": \"\(Self.id)\"\(members.isEmpty ? "" : ", ")\(members)}"
        do {
            _ = try JSONDecoder().decode(type, from: Data(text.utf8))
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [
        ("\"memory\": true", "\"memory\" has to be a whole number of bytes or a text as \"512MiB\""),
        ("\"memory\": -1", "\"memory\" has to be a whole number of bytes"), ("\"memory\": [1]", "\"memory\" has to be"),
        ("\"cpus\": \"two\"", "\"cpus\" has to be a whole number"), ("\"nics\": {}", "\"nics\" has to be a list"),
        ("\"nics\": [{\"bridge\": 7}]", "\"nics[0].bridge\" has to be a text"),
        ("\"uuid\": \"x\"", "\"uuid\" has a value that is not possible"),
        ("\"autostart\": 1", "\"autostart\" has to be true or false"),
        ("\"identity\": {\"networks\": [{}]}", "the key \"identity.networks[0].device\" is missing"),
    ])
    func aContainersFaultsAreSaidPlainly(_ members: String, _ words: String) {
        let error = error(ContainerSpecification.self, members) as? LXCError
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "no error")")
    }

    @Test func aSystemVMsFaultsAreSaidPlainly() {
        for members in ["\"memory\": true", "\"cpus\": 1.5", "\"kernel\": {}", "\"nics\": 1"] {
            let error = error(SystemVMSpecification.self, members)
            #expect((error as? LXCError)?.code == .invalidArgument, "\(members): \(String(describing: error))")
        }
    }

    @Test func missingAndNullSizesAreTheDefault() throws {
        for members in ["", "\"memory\": null", "\"memory\": 1048576", "\"memory\": \"1MiB\""] {
            #expect(error(ContainerSpecification.self, members) == nil, "\(members)")
        }
    }

    /// A damaged record shows no more of Foundation.
    @Test func aCauseIsSaidPlainly() throws {
        let cause = try #require(error(Int.self, ""))
        let shown = LXCError(.corrupt, "the record cannot be read", cause: cause).description
        #expect(!shown.contains("codingPath") && !shown.contains("Context"), "\(shown)")
    }
}
