// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Threads of the operating system, for work that blocks.
package enum SystemThread {
    /// Starts a thread that runs `body` and ends with it. Nobody waits for it; see ``Worker`` for one that is.
    ///
    /// - Parameters:
    ///   - name: the name debuggers and /proc show; the kernel keeps its first 15 bytes.
    ///   - stackSize: the stack's size in bytes; `nil` for the system's default.
    ///   - body: what the thread does.
    package static func detach(_ name: String, stackSize: Int? = nil, _ body: @escaping @Sendable () -> Void) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, CInt(PTHREAD_CREATE_DETACHED))
        if let stackSize { pthread_attr_setstacksize(&attributes, stackSize) }
        let start = Unmanaged.passRetained(Start(name: String(name.prefix(15)), body: body))
        var thread = pthread_t()
        // The kernel refuses a thread beyond the user's limit: work that somebody waits for begins when another ends.
        while pthread_create(&thread, &attributes, { Start.run($0) }, start.toOpaque()) != 0 { usleep(10_000) }
    }

    /// Suspends the calling thread.
    package static func sleep(_ time: Duration) {
        var left = timespec(
            tv_sec: Int(time.components.seconds), tv_nsec: Int(time.components.attoseconds / 1_000_000_000))
        // A signal ends nanosleep(2) early.
        while case var wanted = left, nanosleep(&wanted, &left) != 0, errno == EINTR {}
    }

    /// What a thread is started with.
    private final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }

        /// Gives the kernel the calling thread's name. Without /proc it has none, which nothing depends on.
        private func show() {
            let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
            guard file >= 0 else { return }
            _ = Array(name.utf8).withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            close(file)
        }

        static func run(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
            guard let argument else { return nil }
            let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
            start.show()
            start.body()
            return nil
        }
    }
}
