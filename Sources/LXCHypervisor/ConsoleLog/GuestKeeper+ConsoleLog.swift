// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HypervisorDriver
import LXCCore
import LibvirtXML
import LinuxSystem
import Logging

/// The containers' consoles and their logs.
extension GuestKeeper {
    /// The log of a container's console.
    func consoleLog(of name: GuestName) -> BoundedLog {
        BoundedLog(path: "\(policy.consoleLogs.directory)/\(name).log")
    }

    /// The arbiter of a container's console. Creates the directories, so that they exist for whoever needs them.
    func consoleTurn(of name: GuestName) async throws -> ConsoleTurn {
        let directories = [policy.consoleLogs.directory, policy.consoleLogs.lockDirectory]
        try await BlockingPool.shared.run { _ in
            for directory in directories { try DurableFile.makeOwnDirectories(directory) }
        }
        return ConsoleTurn(path: "\(policy.consoleLogs.lockDirectory)/\(name)")
    }

    /// Opens a container's console; if it is logged, once the logger has let go of it.
    func openConsole(of name: GuestName) async throws -> any GuestConsole {
        guard try await driver.definition(of: name).containerMetadata()?.consoleLog != nil else {
            return try await driver.consoles.openConsole(of: name)
        }
        return try await TakenConsole.open(consoleTurn(of: name)) { [driver] in
            try await driver.consoles.openConsole(of: name)
        }
    }

    /// Removes a container's log once the logger has seen the container's end.
    func removeConsoleLog(of name: GuestName) async {
        let log = consoleLog(of: name)
        do {
            let turn = try await consoleTurn(of: name)
            for _ in 0..<20 {
                if try await turn.remove({ log.remove() }) { return }
                try await Task.sleep(for: .milliseconds(100))
            }
            // Another reader holds on to the console of a container that is gone.
            try await BlockingPool.shared.run { _ in log.remove() }
        } catch {
            logger.warning(
                "cannot remove a console's log", metadata: ["container": "\(name)", "error": "\(error)"])
        }
    }
}
