// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// The default number of threads of a copy.
enum HostThreads {
    /// Contents come from memory: one thread for each processor suffices.
    static let forWriting = min(max(processors, 2), 8)
    /// Reading from disk waits: more threads than processors let others compute in the meantime.
    static let forReading = min(max(2 * processors, 4), 16)

    private static var processors: Int { Processors.usable }
}
