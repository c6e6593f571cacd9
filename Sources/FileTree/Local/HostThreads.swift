import LinuxSystem

/// How many threads a copy works with where its options do not say.
enum HostThreads {
    /// Contents come from elsewhere in memory: one for each processor keeps them busy.
    static let forWriting = min(max(processors, 2), 8)
    /// Reading from disk waits: more threads than processors, so that others compute meanwhile.
    static let forReading = min(max(2 * processors, 4), 16)

    private static var processors: Int { Processors.usable }
}
