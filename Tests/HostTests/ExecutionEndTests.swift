// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LXCHypervisor
import TestSupport
import Testing

/// How commands inside real containers begin and end, whatever they have started.
@Suite(.tags(.host), .host(.root, .libvirtd, .busybox), .serialized, .limited)
struct ExecutionEndTests {
    private static let shell = ["/bin/busybox", "sh", "-c"]

    /// A child with a session of its own is in no process group of the command's.
    @Test func whatHasLeftTheCommandIsKilledWithIt() async throws {
        try await TestHost.run { host in
            let container = try await host.startedContainer()
            let command = GuestCommand(Self.shell + ["busybox setsid busybox sleep 7001 & busybox sleep 7002"])
            let clock = ContinuousClock()
            let start = clock.now
            await #expect(throws: LXCError.self) { try await container.run(command, timeout: .seconds(2)) }
            #expect(clock.now - start < .seconds(20))
            #expect(try await eventually { try await Self.running("sleep 700", in: container) == 0 })

            let process = try await container.execute(command)
            #expect(try await eventually { try await Self.running("sleep 7001", in: container) == 1 })
            try process.send(.kill)
            #expect(try await process.wait() == .signalled(SIGKILL))
            #expect(try await eventually { try await Self.running("sleep 700", in: container) == 0 })
        }
    }

    /// A command lasts no longer than the scope it is used in, however that is left.
    @Test func aCommandEndsWithItsScope() async throws {
        try await TestHost.run { host in
            let container = try await host.startedContainer()
            let command = GuestCommand(Self.shell + ["busybox sleep 7020 & echo begun; busybox sleep 7021"])
            let first = try await container.withProcess(command) { process in
                for try await bytes in process.output { return String(decoding: bytes, as: UTF8.self) }
                return ""
            }
            #expect(first == "begun\n")
            #expect(try await eventually { try await Self.running("sleep 702", in: container) == 0 })
            await #expect(throws: CancellationError.self) {
                try await container.withProcess(command) { _ in throw CancellationError() }
            }
            #expect(try await eventually { try await Self.running("sleep 702", in: container) == 0 })
            let ended = try await container.withProcess(GuestCommand(Self.shell + ["exit 3"])) { try await $0.wait() }
            #expect(ended == .exited(3))
        }
    }

    /// A command's end is told when it ends, whether its control group can be removed or not.
    @Test func anEndIsToldAtOnce() async throws {
        try await TestHost.run { host in
            let container = try await host.startedContainer()
            for script in ["exit 0", "busybox setsid busybox sleep 7010 >/dev/null 2>&1 & exit 0"] {
                // Under load any one can be late.
                var shortest = Duration.seconds(60)
                for _ in 1...5 {
                    let start = ContinuousClock.now
                    _ = try await container.run(GuestCommand(Self.shell + [script]), timeout: .seconds(60))
                    shortest = min(shortest, ContinuousClock.now - start)
                }
                #expect(shortest < .seconds(2))
            }
        }
    }

    /// Daemons of one host do not share the names of their containers.
    @Test func theEndOfANamesakeTakesNothingOfACommand() async throws {
        try await TestHost.run { host in
            let container = try await host.startedContainer("namesake")
            try await TestHost.run { other in
                let commands = Task {
                    var count = 0
                    while !Task.isCancelled {
                        let exit = try await container.run(GuestCommand(["/bin/busybox", "true"])).status
                        #expect(exit == .exited(0) || Task.isCancelled)
                        count += 1
                    }
                    return count
                }
                let namesake = try await other.startedContainer("namesake")
                for _ in 0..<5 {
                    _ = try await namesake.stop(within: .zero)
                    try await namesake.start()
                }
                commands.cancel()
                do {
                    #expect(try await commands.value > 0)
                } catch is CancellationError {}
            }
        }
    }

    /// A daemon holds the command's streams; the command has ended all the same, and the daemon goes on.
    @Test func aDaemonThatIsLeftHoldsNobodyUp() async throws {
        try await TestHost.run { host in
            let container = try await host.startedContainer()
            let script = "busybox setsid busybox sleep 7003 & echo done"
            let result = try await container.run(GuestCommand(Self.shell + [script]), timeout: .seconds(60))
            #expect(result.status == .exited(0))
            #expect(result.text == "done\n")
            #expect(try await Self.running("sleep 7003", in: container) == 1)

            // One that goes on writing.
            let noisy = "busybox setsid busybox yes & echo done; exit 3"
            let second = try await container.run(
                GuestCommand(Self.shell + [noisy]), timeout: .seconds(60), limit: .gibibytes(1))
            #expect(second.status == .exited(3))
            var terminal = GuestCommand(Self.shell + [script])
            terminal.terminal = TerminalSize()
            #expect(try await container.run(terminal, timeout: .seconds(60)).text.contains("done"))
        }
    }

    /// What waits for a reader is not in the way of its end.
    @Test func aCommandThatNobodyReadsIsCancelled() async throws {
        try await TestHost.run { host in
            let container = try await host.startedContainer()
            let process = try await container.execute(GuestCommand(["/bin/busybox", "yes"]))
            let waiting = Task { try await process.wait() }
            try await Task.sleep(for: .milliseconds(200))
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            #expect(try await eventually { try await Self.running("busybox yes", in: container) == 0 })
        }
    }

    @Test func programsAreLookedForAsShellsDo() async throws {
        try await TestHost.run { host in
            let container = try await host.startedContainer()
            let files = container.files
            let prepare = """
                busybox mkdir -p /first /second /closed; echo no >/first/tool; busybox chmod 644 /first/tool
                printf 'echo "script $0 $1"' >/second/tool; busybox chmod 755 /second/tool
                busybox ln -s busybox /bin/sh; echo >/file; busybox cp /first/tool /closed/only
                """
            #expect(try await container.run(GuestCommand(Self.shell + [prepare])).status == .exited(0))
            func run(_ program: String, path: String) async throws -> String {
                var command = GuestCommand([program, "argument"])
                command.environment["PATH"] = path
                return try await container.run(command).text
            }
            // What is no directory, and what may not be executed, is passed over; what is no program is the shell's.
            #expect(try await run("tool", path: "/file:/none:/first:/second") == "script /second/tool argument\n")
            #expect(try await run("/second/tool", path: "/none") == "script /second/tool argument\n")
            func fault(_ program: String, path: String) async throws -> GuestCommandFault? {
                do {
                    _ = try await run(program, path: path)
                    return nil
                } catch let error as LXCError {
                    return error.cause as? GuestCommandFault
                }
            }
            #expect(try await fault("only", path: "/closed:/none") == .cannotRun, "found, and not to be executed")
            #expect(try await fault("nowhere", path: "/closed:/none") == .programNotFound)
            #expect(try await fault("/closed/only", path: "/none") == .cannotRun)
            var command = GuestCommand(["/bin/busybox", "true"])
            command.user = .name("nobody-here")
            let error = await #expect(throws: LXCError.self) { try await container.run(command) }
            #expect(error?.cause as? GuestCommandFault == .cannotRun)
            try await files.write(Array("games:x:5:60::/:/bin/sh\n".utf8), to: "/etc/passwd")
            try await files.write(Array("extra:x:77:games\n".utf8), to: "/etc/group")
            command = GuestCommand(Self.shell + ["busybox id -g; busybox id -G"])
            command.user = .id(5)
            #expect(try await container.run(command).text == "60\n60 77\n")
            command.user = .id(1234)
            #expect(try await container.run(command).text == "1234\n1234\n", "an account that is not there")
        }
    }

    /// How many processes inside have a command line with this in it.
    static func running(_ text: String, in container: Container) async throws -> Int {
        let list = "for line in /proc/[0-9]*/cmdline; do busybox tr '\\0' ' ' <$line; echo; done 2>/dev/null"
        let pattern = "[\(text.prefix(1))]\(text.dropFirst())"
        let script = "\(list) | busybox grep -v 'sh -c' | busybox grep -c '\(pattern)'; true"
        let result = try await container.run(GuestCommand(shell + [script]), timeout: .seconds(60))
        return Int(result.text.dropLast()) ?? -1
    }
}
