// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "lock.h"

#include <fcntl.h>
#include <unistd.h>

static int try_lock(int fd, short type) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &lock);
}

int clinux_try_lock_byte(int fd, int64_t offset, int exclusive) {
    struct flock lock = {
        .l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &lock);
}

int clinux_try_lock(int fd) { return try_lock(fd, F_WRLCK); }

int clinux_try_lock_shared(int fd) { return try_lock(fd, F_RDLCK); }
