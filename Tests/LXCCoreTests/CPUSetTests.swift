// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import Testing

@Suite struct CPUSetTests {
    @Test(arguments: [
        ("0", "0"), ("0-3", "0-3"), ("3,1,2", "1-3"), ("0,2-3", "0,2-3"), ("5,5", "5"), ("0-3,^2", "0-1,3"),
    ])
    func listsAreTheKernels(text: String, shortest: String) throws {
        let set = try CPUSet(parsing: text)
        #expect(set.description == shortest)
        #expect(try JSONDecoder().decode(CPUSet.self, from: JSONEncoder().encode(set)) == set)
        #expect(try CPUSet(set.processors) == set)
    }

    @Test(arguments: ["", "-", "a", "3-1", "0,,1", "^2", "2,^2", "0-99999999", "1-2-3"])
    func whatIsNoListIsRefused(text: String) {
        let error = #expect(throws: LXCError.self) { try CPUSet(parsing: text) }
        #expect(error?.code == .invalidArgument)
    }

    @Test(arguments: [[], [-1], [8192]])
    func whatIsNoProcessorIsRefused(numbers: [Int]) {
        let error = #expect(throws: LXCError.self) { try CPUSet(numbers) }
        #expect(error?.code == .invalidArgument)
    }

    @Test func timesBecomeWholeUnits() {
        #expect(
            Duration.nanoseconds(1_999).wholeMicroseconds == 1 && Duration.seconds(3).wholeNanoseconds == 3_000_000_000)
        #expect(Duration.seconds(-1).wholeMicroseconds == 0 && Duration.seconds(Int64.max).wholeNanoseconds == .max)
        #expect(Duration.nanoseconds(UInt64.max).wholeNanoseconds == .max)
    }
}
