import FoundationEssentials
import HypervisorDriver
import LXCCore
import LibvirtXML
import LinuxSystem
import Logging
import PrimaryStore
import Synchronization

extension LXCHypervisor {
    /// The log of a container's console.
    func consoleLog(of name: GuestName) -> BoundedLog {
        BoundedLog(path: "\(policy.consoleLogs.directory)/\(name).log")
    }

    /// Who reads a container's console. The directories are made here, so that they are there for whoever needs them.
    func consoleTurn(of name: GuestName) async throws -> ConsoleTurn {
        let directories = [policy.consoleLogs.directory, policy.consoleLogs.lockDirectory]
        try await BlockingPool.shared.run { _ in
            for directory in directories { try DurableFile.makeOwnDirectories(directory) }
        }
        return ConsoleTurn(path: "\(policy.consoleLogs.lockDirectory)/\(name)")
    }

    /// Opens a container's console; where it is logged, once who logs has let go of it.
    func openConsole(of name: GuestName) async throws -> any GuestConsole {
        guard try await driver.definition(of: name).containerMetadata()?.consoleLog != nil else {
            return try await driver.consoles.openConsole(of: name)
        }
        return try await TakenConsole.open(consoleTurn(of: name)) { [driver] in
            try await driver.consoles.openConsole(of: name)
        }
    }

    /// Removes a container's log, when who writes it has seen the container's end.
    func removeConsoleLog(of name: GuestName) async {
        let log = consoleLog(of: name)
        do {
            let turn = try await consoleTurn(of: name)
            for _ in 0..<20 {
                if try await turn.remove({ log.remove() }) { return }
                try await Task.sleep(for: .milliseconds(100))
            }
            // Somebody holds on to the console of what is gone.
            try await BlockingPool.shared.run { _ in log.remove() }
        } catch {
            logger.warning(
                "cannot remove a console's log", metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }

    // MARK: Logging

    /// Keeps the consoles of running containers that ask for it until the task is cancelled.
    func keepConsoleLogs() async {
        let logged = LoggedConsoles()
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                do {
                    // Listening begins before looking, so that no start falls between the two.
                    let events = try await driver.events()
                    for guest in try await driver.guests() where guest.state.isActive && logged.begin(guest.name) {
                        group.addTask { await self.logConsole(of: guest.name, logged) }
                    }
                    for try await event in events where event.kind == .started && logged.begin(event.guest) {
                        group.addTask { await self.logConsole(of: event.guest, logged) }
                    }
                } catch {
                    logger.warning("lost sight of the consoles; trying again", metadata: ["error": "\(error)"])
                }
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    private func logConsole(of name: GuestName, _ logged: LoggedConsoles) async {
        repeat {
            while !Task.isCancelled {
                do {
                    guard let limit = try await consoleLogLimit(of: name) else { break }
                    try await logConsole(of: name, upTo: limit)
                } catch let error as LXCError where error.code == .notFound || error.code == .invalidState {
                    break  // It has ended.
                } catch is CancellationError {
                    break
                } catch {
                    logger.warning(
                        "cannot log a console; trying again", metadata: ["container": "\(name)", "error": "\(error)"])
                    try? await Task.sleep(for: .seconds(1))
                }
            }
        } while !logged.end(name)
    }

    /// How much is kept of a running container's console; nil where nothing is.
    private func consoleLogLimit(of name: GuestName) async throws -> ByteCount? {
        guard try await driver.guest(name).state.isActive else { return nil }
        guard let metadata = try await driver.definition(of: name).containerMetadata() else { return nil }
        return metadata.pool == primary.id ? metadata.consoleLog : nil
    }

    /// Logs until the container ends or somebody wants the console.
    private func logConsole(of name: GuestName, upTo limit: ByteCount) async throws {
        let log = consoleLog(of: name)
        let result: Void? = try await consoleTurn(of: name).log { [driver] in
            let console = try await driver.consoles.openConsole(of: name)
            do {
                for try await bytes in console.output {
                    try await BlockingPool.shared.run { _ in try log.append(bytes[...], limit: limit) }
                }
            } catch {
                await console.close()
                throw error
            }
            await console.close()
        }
        guard result == nil, !Task.isCancelled else { return }
        let note =
            "\r\n[\(Date().ISO8601Format()): the console was opened; what comes until it is closed is not here]\r\n"
        try await BlockingPool.shared.run { _ in try log.append(Array(note.utf8)[...], limit: limit) }
    }
}

/// The consoles that are being logged, by the containers' names.
private final class LoggedConsoles: Sendable {
    /// Whether it was started again meanwhile.
    private let names = Mutex<[GuestName: Bool]>([:])

    /// Whether somebody has to begin; else who is at it looks once more.
    func begin(_ name: GuestName) -> Bool {
        names.withLock { $0.updateValue($0[name] != nil, forKey: name) == nil }
    }

    /// Whether it is over; not when the container was started again.
    func end(_ name: GuestName) -> Bool {
        names.withLock { names in
            if names[name] == true, !Task.isCancelled {
                names[name] = false
                return false
            }
            names[name] = nil
            return true
        }
    }
}
