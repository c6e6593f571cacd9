// SPDX-License-Identifier: Apache-2.0

import Glibc
import LXCCore
import LinuxSystem
import TestSupport
import Testing

@Suite(.limited)
struct LXCErrorTests {
    @Test func descriptionIsTheMessageThenTheCause() {
        let plain = LXCError(.notFound, "there is no volume x")
        #expect("\(plain)" == "there is no volume x")
        let caused = LXCError(.io, "cannot write x", cause: SystemCallError("write", errno: ENOSPC))
        #expect("\(caused)" == "cannot write x (write: No space left on device)")
    }

    @Test func locationIsTheCallers() {
        let line = #line + 1
        let error = LXCError(.io, "x")
        #expect(error.location == "LXCCoreTests/LXCErrorTests.swift:\(line)")
        let systemLine = #line + 1
        let system = LXCError.systemCall("open", errno: ENOENT, "open x")
        #expect(system.location == "LXCCoreTests/LXCErrorTests.swift:\(systemLine)")
    }

    @Test func codesHaveStableNames() {
        #expect(LXCError.Code.notFound.description == "notFound")
        #expect(LXCError.Code.lossRefused.description == "lossRefused")
        #expect(LXCError.Code.notFound != LXCError.Code.unavailable)
    }

    @Test func systemCallNamesTheCallInTheKernelsWords() {
        #expect(SystemCallError("openat2", errno: EACCES).description == "openat2: Permission denied")
        #expect(SystemCallError("x", errno: 4095).description.hasPrefix("x: "))
    }

    @Test(arguments: [
        (ENOENT, LXCError.Code.notFound), (ESRCH, .notFound), (EEXIST, .alreadyExists), (ENOTEMPTY, .alreadyExists),
        (EPERM, .permissionDenied), (EACCES, .permissionDenied), (EROFS, .permissionDenied), (EBUSY, .inUse),
        (ENOSYS, .unsupported), (EOPNOTSUPP, .unsupported), (ETIMEDOUT, .timedOut), (EIO, .io), (ENOSPC, .io),
        (ELOOP, .io), (0, .io),
    ])
    func errnoDecidesTheCode(_ number: CInt, _ code: LXCError.Code) {
        let error = LXCError.systemCall("call", errno: number, "do it")
        #expect(error.code == code)
        #expect(error.message == "cannot do it")
        #expect((error.cause as? SystemCallError) == SystemCallError("call", errno: number))
    }

    @Test func lastSystemCallReadsErrno() {
        errno = 0
        let descriptor = open("/nonexistent/file", O_RDONLY)
        let error = LXCError.lastSystemCall("open", "open it")
        #expect(descriptor == -1)
        #expect(error.code == .notFound)
        #expect((error.cause as? SystemCallError)?.errno == ENOENT)
    }
}

@Suite(.limited)
struct DisplayTextTests {
    @Test(arguments: [
        ("plain text ü 日本", "plain text ü 日本"),
        ("two\nlines\r\u{0}", "two\\u{a}lines\\u{d}\\u{0}"),
        ("say \"x\\y\"", "say \\\"x\\\\y\\\""),
        ("\u{1B}[31mred", "\\u{1b}[31mred"),
        ("a\u{202E}b\u{2028}c\u{2029}d", "a\\u{202e}b\\u{2028}c\\u{2029}d"),
        ("", ""),
    ])
    func controlCharactersAndQuotesAreEscaped(_ text: String, _ shown: String) {
        #expect(text.escapedForDisplay == shown)
        #expect(String(escapingForDisplay: text.utf8) == shown)
    }

    @Test func longTextIsCut() {
        #expect(String(repeating: "a", count: 200).escapedForDisplay == String(repeating: "a", count: 200))
        #expect(String(repeating: "a", count: 201).escapedForDisplay == String(repeating: "a", count: 200) + "…")
        #expect("abc\n".escapedForDisplay(atMost: 4) == "abc\\u{a}")
        #expect("abc\nd".escapedForDisplay(atMost: 4) == "abc\\u{a}…")
    }

    @Test func combiningMarksCannotHideAControlCharacter() {
        #expect(Array("\n\u{301}".escapedForDisplay.unicodeScalars) == Array("\\u{a}\u{301}".unicodeScalars))
        #expect(Array("\"\u{301}".escapedForDisplay.unicodeScalars) == ["\\", "\"", "\u{301}"])
    }

    @Test func bytesThatAreNoTextStayVisible() {
        #expect(String(escapingForDisplay: [0x61, 0xFF, 0x62]) == "a\u{FFFD}b")
        #expect(String(escapingForDisplay: [0x0A] as [UInt8]) == "\\u{a}")
    }

    @Test func theCauseOfAnotherForgesNoSecondLine() {
        struct Foreign: Error, CustomStringConvertible { let description = "bad\n2026 all is well\u{1B}[2K" }
        let error = LXCError(.io, "cannot read x", cause: LXCError(.io, "cannot read y", cause: Foreign()))
        #expect(error.description == "cannot read x (cannot read y (bad\\u{a}2026 all is well\\u{1b}[2K))")
    }
}
