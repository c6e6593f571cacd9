// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HypervisorDriver
import LXCCore
import LibvirtXML
import Logging
import Synchronization

/// Logs the consoles of running containers that ask for it.
struct ConsoleLogging: GuestDuty {
    private let keeper: GuestKeeper
    private let logged = LoggedConsoles()

    init(_ keeper: GuestKeeper) { self.keeper = keeper }

    func work(after observation: LXCHypervisor.Observation) -> [GuestWork] {
        observation.running.filter(logged.begin).map { name in GuestWork { await logConsole(of: name) } }
    }

    private func logConsole(of name: GuestName) async {
        repeat {
            while !Task.isCancelled {
                do {
                    guard let limit = try await consoleLogLimit(of: name) else { break }
                    try await logConsole(of: name, upTo: limit)
                } catch let error as LXCError where error.code == .notFound || error.code == .invalidState {
                    break  // The container has ended.
                } catch is CancellationError {
                    break
                } catch {
                    keeper.logger.warning(
                        "cannot log a console; trying again", metadata: ["container": "\(name)", "error": "\(error)"])
                    try? await Task.sleep(for: .seconds(1))
                }
            }
        } while !logged.end(name)
    }

    /// The size limit of a running container's console log; `nil` if its console is not logged.
    private func consoleLogLimit(of name: GuestName) async throws -> ByteCount? {
        guard try await keeper.driver.guest(name).state.isActive else { return nil }
        return try await keeper.pools.record(of: keeper.driver.definition(of: name))?.metadata.consoleLog
    }

    /// Logs until the container ends or another reader wants the console.
    private func logConsole(of name: GuestName, upTo limit: ByteCount) async throws {
        let log = keeper.consoleLog(of: name)
        let result: Void? = try await keeper.consoleTurn(of: name).log { [keeper] in
            let console = try await keeper.driver.consoles.openConsole(of: name)
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

/// The consoles being logged, by container name.
private final class LoggedConsoles: Sendable {
    /// Whether the container was started again in the meantime.
    private let names = Mutex<[GuestName: Bool]>([:])

    /// Whether the caller has to begin logging; otherwise the current logger checks once more.
    func begin(_ name: GuestName) -> Bool {
        names.withLock { $0.updateValue($0[name] != nil, forKey: name) == nil }
    }

    /// Whether logging is over, which it is not if the container was started again.
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
