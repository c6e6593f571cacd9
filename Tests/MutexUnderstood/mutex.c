// SPDX-License-Identifier: Apache-2.0

// Swift's Mutex, when it is contended, takes and gives the lock inside the standard library, which no sanitizer has
// instrumented: the thread sanitizer sees two threads in turn at the same memory and nothing between them. These two
// functions stand before the library's and tell it.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

#if defined(__has_feature) && __has_feature(thread_sanitizer)

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

void __tsan_acquire(void *address);
void __tsan_release(void *address);

SWIFT void sanitized_lock_slow(uint32_t thread, SELF void *handle) __asm__(LOCK_SLOW);
SWIFT void sanitized_unlock_slow(SELF void *handle) __asm__(UNLOCK_SLOW);

SWIFT void sanitized_lock_slow(uint32_t thread, SELF void *handle) {
    SWIFT void (*real)(uint32_t, SELF void *) = dlsym(RTLD_NEXT, LOCK_SLOW);
    real(thread, handle);
    __tsan_acquire(handle);
}

SWIFT void sanitized_unlock_slow(SELF void *handle) {
    SWIFT void (*real)(SELF void *) = dlsym(RTLD_NEXT, UNLOCK_SLOW);
    __tsan_release(handle);
    real(handle);
}

#endif
