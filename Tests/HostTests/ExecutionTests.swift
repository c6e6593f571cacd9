// SPDX-License-Identifier: Apache-2.0

import Foundation
import LXCCore
import LXCHypervisor
import LinuxSystem
import TestSupport
import Testing

/// Commands inside real containers.
@Suite(.tags(.host), .host(.root, .libvirtd, .busybox), .serialized, .limited)
struct ExecutionTests {
    /// An init that ends its container waits for every process it sees.
    @Test func aCommandThatEndedIsNotSeenAnyMore() async throws {
        try await TestHost.run { host in
            let container = try await host.startedContainer()
            let first = try #require(try await container.initProcess())
            let inside = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(first)/ns/pid")
            for _ in 0..<5 { _ = try await container.run(GuestCommand(["/bin/busybox", "true"])) }
            let numbers = try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { Int32($0) != nil }
            let seen = numbers.filter {
                (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\($0)/ns/pid")) == inside
            }
            #expect(seen == ["\(first)"], "its init, and nothing that has ended")
            let processes = try await container.run(GuestCommand(["/bin/busybox", "ps", "-o", "comm,stat"])).text
            #expect(!processes.contains("Z"))
        }
    }

    @Test(arguments: [false, true])
    func aCommandIsWhatTheContainerIs(privileged: Bool) async throws {
        try await TestHost.run { host in
            let container = try await host.startedContainer(privileged: privileged)
            try await confinement(of: container, privileged: privileged)
            try await users(of: container)
            try await failures(of: container)
            try await streams(of: container)
            try await terminals(of: container)
            try await ends(of: container)
            try await files(of: container, on: host, privileged: privileged)
        }
    }

    private func shell(
        _ script: String, in container: Container, _ change: (inout GuestCommand) -> Void = { _ in }
    ) async throws -> CommandResult {
        var command = GuestCommand(["/bin/busybox", "sh", "-c", script])
        change(&command)
        return try await container.run(command, timeout: .seconds(60))
    }

    private func output(_ script: String, in container: Container) async throws -> String {
        let result = try await shell(script, in: container)
        #expect(result.status == .exited(0), "\(result.errorText)")
        return result.text
    }

    private func confinement(of container: Container, privileged: Bool) async throws {
        let map = try await output("busybox tr -s ' ' < /proc/self/uid_map", in: container)
        let given = try await container.domain().idMap?.hostUser(0)
        #expect(map.contains(given.map { "0 \($0) 65536" } ?? "0 0 4294967295"))
        let same = """
            for file in oom_score_adj limits personality; do busybox cmp /proc/self/$file /proc/1/$file || echo $file; done
            # In the hierarchy of version 2 it has a group of its own.
            for process in 1 self; do busybox grep -v ^0:: /proc/$process/cgroup >/tmp/cgroup.$process; done
            busybox cmp /tmp/cgroup.1 /tmp/cgroup.self || echo cgroup
            for space in ipc uts net pid mnt user cgroup; do
                [ $(busybox readlink /proc/self/ns/$space) = $(busybox readlink /proc/1/ns/$space) ] || echo $space
            done
            for set in CapInh CapBnd CapAmb NoNewPrivs Cpus_allowed: Mems_allowed:; do
                [ "$(busybox grep $set /proc/self/status)" = "$(busybox grep $set /proc/1/status)" ] || echo $set
            done
            busybox readlink /proc/self/root
            """
        #expect(try await output(same, in: container) == "/\n")
        // The last is the directory that is listed.
        let list = try await container.run(GuestCommand(["/bin/busybox", "ls", "/proc/self/fd"]))
        #expect(list.text == "0\n1\n2\n3\n")
        let seen = "for exe in /proc/[0-9]*/exe; do busybox readlink $exe; done | busybox sort -u"
        #expect(try await output(seen, in: container) == "/bin/busybox\n", "nothing of the host is seen inside")
        let environment = try await shell("busybox env", in: container) { $0.environment = ["GIVEN": "a b"] }
        #expect(
            Set(environment.text.split(separator: "\n").map { $0.prefix { $0 != "=" } })
                .subtracting(["PWD", "SHLVL", "OLDPWD"]) == ["PATH", "HOME", "container", "GIVEN"])
    }

    /// A hole at the beginning, in the middle and at the end stays one, both ways.
    private func sparse(_ files: ContainerFiles, on host: TestHost) async throws {
        let (source, copy) = ("\(host.directory)/sparse", "\(host.directory)/sparse.copy")
        let file = try #require(fopen(source, "w"))
        for offset in [64 << 20, 128 << 20] {
            fseek(file, offset, SEEK_SET)
            fputs("data", file)
        }
        fflush(file)
        #expect(ftruncate(fileno(file), 256 << 20) == 0)
        fclose(file)
        try await files.push(source, to: "/tmp/sparse")
        try await files.pull("/tmp/sparse", to: copy)
        #expect(FileManager.default.contentsEqual(atPath: source, andPath: copy))
        var status = stat()
        #expect(stat(copy, &status) == 0 && status.st_size == 256 << 20 && status.st_blocks * 512 < 16 << 20)
        try await files.remove("/tmp/sparse")
    }

    private func users(of container: Container) async throws {
        let passwd = "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n"
        try await container.files.write(Array(passwd.utf8), to: "/etc/passwd")
        try await container.files.write(Array("adm:x:4:web\n".utf8), to: "/etc/group")
        let byName = try await shell("busybox id -u; busybox id -G; echo $HOME $USER", in: container) {
            $0.user = .name("web")
            $0.workingDirectory = "/tmp"
        }
        #expect(byName.text == "33\n34 4\n/srv web\n")
        let byNumber = try await shell(
            "busybox id -u; busybox id -G; busybox grep CapEff /proc/self/status; busybox pwd", in: container
        ) {
            $0.user = .ids(user: 1000, group: 1001, groups: [7])
            $0.workingDirectory = "/tmp"
        }
        #expect(byNumber.text == "1000\n1001 7\nCapEff:\t0000000000000000\n/tmp\n")
        let nobody = await error { try await self.shell("true", in: container) { $0.user = .name("nobody") } }
        #expect(nobody?.code == .notFound)
        let outside = await error {
            try await self.shell("true", in: container) { $0.user = .ids(user: 4_000_000_000, group: 0) }
        }
        if try await container.domain().idMap != nil { #expect(outside != nil, "\(container.name) has no such user") }
    }

    private func failures(of container: Container) async throws {
        for arguments in [["no-such-program"], ["/no/such/program"], ["/etc/passwd"], []] {
            let error = await error { try await container.run(GuestCommand(arguments)) }
            #expect(error != nil, "\(arguments)")
        }
        let missing = await error { try await container.run(GuestCommand(["no-such-program"])) }
        #expect(missing?.code == .notFound)
        #expect(missing?.message.contains("no-such-program") == true)
        let directory = await error {
            try await self.shell("true", in: container) { $0.workingDirectory = "/no/such/directory" }
        }
        #expect(directory?.code == .notFound)
        #expect(directory?.message.contains("/no/such/directory") == true)
        #expect(try await shell("exit 7", in: container).status == .exited(7))
        #expect(try await shell("kill -9 $$", in: container).status == .signalled(9))
    }

    private func streams(of container: Container) async throws {
        let result = try await shell("echo out; echo err >&2", in: container)
        #expect((result.text, result.errorText) == ("out\n", "err\n"))
        let input = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let echoed = try await container.run(GuestCommand(["/bin/busybox", "cat"]), input: input)
        #expect(echoed.output == input)
        // A command that does not read its input is no reason to fail.
        #expect(try await container.run(GuestCommand(["/bin/busybox", "true"]), input: input).status == .exited(0))
        let limited = await error {
            try await container.run(GuestCommand(["/bin/busybox", "yes"]), limit: .mebibytes(1))
        }
        #expect(limited?.code == .limitExceeded)
        let late = await error {
            try await container.run(GuestCommand(["/bin/busybox", "sleep", "1000"]), timeout: .milliseconds(100))
        }
        #expect(late?.code == .timedOut)
        try await nothingIsLeft(in: container)
    }

    private func terminals(of container: Container) async throws {
        var command = GuestCommand([
            "/bin/busybox", "sh", "-c", "busybox tty; busybox stty size; read x; busybox stty size",
        ])
        command.terminal = TerminalSize(rows: 40, columns: 132)
        let process = try await container.execute(command)
        var seen = ""
        for try await bytes in process.output {
            seen += String(decoding: bytes, as: UTF8.self)
            if seen.contains("40 132"), !seen.contains("go") {
                try await process.resize(to: TerminalSize(rows: 50, columns: 100))
                try await process.write(Array("go\n".utf8))
            }
        }
        #expect(try await process.wait() == .exited(0))
        #expect(seen.contains("/dev/pts/"))
        #expect(seen.contains("50 100"))
    }

    private func ends(of container: Container) async throws {
        let sleeper = GuestCommand(["/bin/busybox", "sleep", "1000"])
        let process = try await container.execute(sleeper)
        try process.send(.terminate)
        #expect(try await process.wait() == .signalled(SIGTERM))
        try process.send(.terminate)

        let waiting = Task { try await container.run(GuestCommand(["/bin/busybox", "sleep", "1000"])) }
        #expect(
            try await eventually {
                try await running(in: container) == 1
            })
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        _ = try await container.execute(sleeper)
        try await nothingIsLeft(in: container)

        try await withThrowingTaskGroup(of: Int.self) { group in
            for index in 0..<20 {
                group.addTask {
                    let result = try await container.run(GuestCommand(["/bin/busybox", "echo", "\(index)"]))
                    return Int(result.text.dropLast()) ?? -1
                }
            }
            var found: Set<Int> = []
            for try await index in group { found.insert(index) }
            #expect(found == Set(0..<20))
        }

        try await container.suspend()
        #expect(await error { try await container.execute(sleeper) }?.code == .invalidState)
        try await container.resume()
    }

    /// How many commands that would not end run inside.
    private func running(in container: Container) async throws -> Int? {
        let list = "for line in /proc/[0-9]*/cmdline; do busybox tr '\\0' ' ' <$line; echo; done"
        let count = "\(list) | busybox grep -c -e '[s]leep 1000' -e 'busybox [y]es'; true"
        return Int(try await output(count, in: container).dropLast())
    }

    /// Killed commands are gone, inside too.
    private func nothingIsLeft(in container: Container) async throws {
        #expect(try await eventually { try await running(in: container) == 0 })
    }

    private func files(of container: Container, on host: TestHost, privileged: Bool) async throws {
        let files = container.files
        #expect(
            try await output("busybox mount -t tmpfs none /run && echo inside > /run/file; echo done", in: container)
                == "done\n")
        #expect(try await files.read("/run/file") == Array("inside\n".utf8), "what is mounted inside is seen")
        try await files.write(Array("x".utf8), to: "/run/owned", mode: 0o640, owner: .init(user: 33, group: 34))
        #expect(try await output("busybox stat -c '%u:%g %a' /run/owned", in: container) == "33:34 640\n")
        #expect(
            try await files.status(of: "/run/owned")
                == ConfinedRoot.Status(kind: .file, mode: 0o640, user: 33, group: 34, size: ByteCount(1)))
        #expect(try await files.list("/run") == ["file", "owned"])

        try await sparse(files, on: host)
        try await files.push(host.archive, to: "/tmp/archive")
        let pulled = "\(host.directory)/pulled"
        try await files.pull("/tmp/archive", to: pulled)
        #expect(FileManager.default.contentsEqual(atPath: host.archive, andPath: pulled))
        #expect(await error { try await files.pull("/tmp/archive", to: pulled) }?.code == .alreadyExists)
        #expect(await error { try await files.read("/no/such") }?.code == .notFound)
        #expect(await error { try await files.read("/dev/null") }?.code == .invalidArgument)

        try await container.stop(within: .seconds(20))
        #expect(try await files.read("/etc/group") == Array("adm:x:4:web\n".utf8))
        try await files.write(Array("later\n".utf8), to: "/etc/later")
        if !privileged {
            let outside = await error {
                try await files.write([], to: "/etc/later", owner: .init(user: 70_000, group: 0))
            }
            #expect(outside?.code == .invalidArgument)
        }
        #expect(await error { try await container.execute(GuestCommand(["true"])) }?.code == .invalidState)
        try await container.start()
        #expect(try await output("busybox cat /etc/later", in: container) == "later\n")
    }

    /// A command whose container ends ends with it, and is told so.
    @Test func aCommandEndsWithItsContainer() async throws {
        try await TestHost.run { host in
            let container = try await host.startedContainer()
            let process = try await container.execute(GuestCommand(["/bin/busybox", "sleep", "1000"]))
            try await container.stop(within: .zero)
            #expect(try await process.wait() == .signalled(SIGKILL))
            for try await _ in process.output {}
        }
    }

    private func error(_ body: () async throws -> some Any) async -> LXCError? {
        do {
            _ = try await body()
            return nil
        } catch {
            return error as? LXCError
        }
    }
}

extension CommandResult {
    var text: String { String(decoding: output, as: UTF8.self) }
    var errorText: String { String(decoding: errorOutput, as: UTF8.self) }
}
