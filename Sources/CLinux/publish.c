#define _GNU_SOURCE
#include "publish.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int clinux_rename_new(const char *from, const char *to) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}

static int try_lock(int fd, short type) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &lock);
}

int clinux_try_lock(int fd) { return try_lock(fd, F_WRLCK); }

int clinux_try_lock_shared(int fd) { return try_lock(fd, F_RDLCK); }
