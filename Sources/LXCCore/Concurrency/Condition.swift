// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A lock with a condition variable: threads wait on it for what other threads do under it.
///
/// In place of Foundation's `NSCondition`, whose library brings 50 MB of locale data into every program that links it.
package final class Condition: @unchecked Sendable {
    // @unchecked: the pointers never change, and POSIX lets any thread use what they point to.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let variable = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    /// Creates an unlocked condition.
    package init() {
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
        variable.initialize(to: pthread_cond_t())
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // A wait lasts as long as it should even when somebody sets the clock.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(variable, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(variable)
        pthread_mutex_destroy(mutex)
        variable.deallocate()
        mutex.deallocate()
    }

    /// Waits for the lock and takes it.
    package func lock() { pthread_mutex_lock(mutex) }

    /// Releases the lock.
    package func unlock() { pthread_mutex_unlock(mutex) }

    /// Runs `body` under the lock.
    package func withLock<Value>(_ body: () throws -> Value) rethrows -> Value {
        lock()
        defer { unlock() }
        return try body()
    }

    /// Releases the lock until it is woken, or for no reason, and takes it again. The caller holds the lock.
    package func wait() { pthread_cond_wait(variable, mutex) }

    /// Waits as ``wait()`` does, no longer than `time`. The caller holds the lock.
    package func wait(atMost time: Duration) {
        var deadline = timespec()
        clock_gettime(CLOCK_MONOTONIC, &deadline)
        deadline.tv_sec += Int(time.components.seconds)
        deadline.tv_nsec += Int(time.components.attoseconds / 1_000_000_000)
        if deadline.tv_nsec >= 1_000_000_000 {
            deadline.tv_sec += 1
            deadline.tv_nsec -= 1_000_000_000
        }
        pthread_cond_timedwait(variable, mutex, &deadline)
    }

    /// Wakes one waiting thread.
    package func signal() { pthread_cond_signal(variable) }

    /// Wakes all waiting threads.
    package func broadcast() { pthread_cond_broadcast(variable) }
}
