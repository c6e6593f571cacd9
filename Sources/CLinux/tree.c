// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

const int clinux_o_path = O_PATH;
const int clinux_o_nofollow = O_NOFOLLOW;
const int clinux_o_directory = O_DIRECTORY;
const int clinux_o_cloexec = O_CLOEXEC;

// Headers older than Linux 5.8 lack the mount id; the kernel's numbers never change.
#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000U
#endif

int clinux_stat_at(int directory, const char *path, struct clinux_stat *result) {
    struct statx raw;
    memset(&raw, 0, sizeof raw);
    int flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
    if (statx(directory, path, flags, STATX_BASIC_STATS | STATX_MNT_ID, &raw) != 0) {
        return -1;
    }
    result->device = makedev(raw.stx_dev_major, raw.stx_dev_minor);
    result->mount = raw.stx_mask & STATX_MNT_ID ? raw.stx_mnt_id : 0;
    result->inode = raw.stx_ino;
    result->size = raw.stx_size;
    result->blocks = raw.stx_blocks;
    result->modified_seconds = raw.stx_mtime.tv_sec;
    result->modified_nanoseconds = raw.stx_mtime.tv_nsec;
    result->changed_seconds = raw.stx_ctime.tv_sec;
    result->changed_nanoseconds = raw.stx_ctime.tv_nsec;
    result->links = raw.stx_nlink;
    result->user = raw.stx_uid;
    result->group = raw.stx_gid;
    result->mode = raw.stx_mode;
    result->device_major = raw.stx_rdev_major;
    result->device_minor = raw.stx_rdev_minor;
    return 0;
}

int clinux_open(int directory, const char *path, int flags, mode_t mode) {
    return openat(directory, path, flags, mode);
}

static int open_resolving(int directory, const char *path, int flags, uint64_t resolve) {
    struct open_how how = {.flags = (uint64_t)flags, .resolve = resolve};
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

int clinux_open_beneath(int directory, const char *path, int flags) {
    uint64_t resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    return open_resolving(directory, path, flags, resolve);
}

int clinux_open_in_root(int directory, const char *path, int flags) {
    return open_resolving(directory, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

ssize_t clinux_getdents64(int directory, void *buffer, size_t size) {
    return syscall(SYS_getdents64, directory, buffer, size);
}

int clinux_mknodat(int directory, const char *name, mode_t mode, uint32_t major, uint32_t minor) {
    return mknodat(directory, name, mode, makedev(major, minor));
}

int clinux_rename_noreplace(int old_directory, const char *old_name, int new_directory, const char *new_name) {
    return (int)syscall(SYS_renameat2, old_directory, old_name, new_directory, new_name, RENAME_NOREPLACE);
}

int clinux_link_descriptor(int descriptor, int directory, const char *name) {
    if (linkat(descriptor, "", directory, name, AT_EMPTY_PATH) == 0) {
        return 0;
    }
    // Without CAP_DAC_READ_SEARCH older kernels answer ENOENT; the way through /proc needs no privilege. The magic
    // link leads to the inode itself, so a symbolic link is linked, not followed.
    if (errno != ENOENT && errno != EPERM) {
        return -1;
    }
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return linkat(AT_FDCWD, path, directory, name, AT_SYMLINK_FOLLOW);
}

int clinux_chmod_path_descriptor(int descriptor, mode_t mode) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return chmod(path, mode);
}

int clinux_clear_own_umask(void) {
    // The mask belongs to what CLONE_FS shares between the threads of a process.
    if (unshare(CLONE_FS) != 0) {
        return -1;
    }
    umask(0);
    return 0;
}

void clinux_set_creator(uid_t user, gid_t group) {
    syscall(SYS_setfsgid, group);
    syscall(SYS_setfsuid, user);
}

int clinux_syncfs(int descriptor) { return syncfs(descriptor); }

off_t clinux_seek_data(int descriptor, off_t offset) { return lseek(descriptor, offset, SEEK_DATA); }

off_t clinux_seek_hole(int descriptor, off_t offset) { return lseek(descriptor, offset, SEEK_HOLE); }

int clinux_clone_file(int destination, int source) { return ioctl(destination, FICLONE, source); }

int clinux_copy_nocow(int destination, int source) {
    int wanted = 0, flags = 0;
    if (ioctl(source, FS_IOC_GETFLAGS, &wanted) != 0 || ioctl(destination, FS_IOC_GETFLAGS, &flags) != 0) {
        return -1;
    }
    if (!(wanted & FS_NOCOW_FL) || (flags & FS_NOCOW_FL)) {
        return 0;
    }
    flags |= FS_NOCOW_FL;
    return ioctl(destination, FS_IOC_SETFLAGS, &flags) == 0 ? 1 : -1;
}

ssize_t clinux_copy_file_range(int source, off_t source_offset, int destination, off_t destination_offset, size_t size) {
    off64_t from = source_offset, to = destination_offset;
    return copy_file_range(source, &from, destination, &to, size, 0);
}

int clinux_clear_protection(int descriptor) {
    int flags = 0;
    if (ioctl(descriptor, FS_IOC_GETFLAGS, &flags) != 0) {
        return -1;
    }
    int cleared = flags & ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
    if (cleared == flags) {
        return 0;
    }
    return ioctl(descriptor, FS_IOC_SETFLAGS, &cleared) == 0 ? 1 : -1;
}

ssize_t clinux_flistxattr(int descriptor, char *list, size_t size) { return flistxattr(descriptor, list, size); }

ssize_t clinux_fgetxattr(int descriptor, const char *name, void *value, size_t size) {
    return fgetxattr(descriptor, name, value, size);
}

int clinux_fsetxattr(int descriptor, const char *name, const void *value, size_t size) {
    return fsetxattr(descriptor, name, value, size, 0);
}

int clinux_fremovexattr(int descriptor, const char *name) { return fremovexattr(descriptor, name); }

ssize_t clinux_llistxattr(const char *path, char *list, size_t size) { return llistxattr(path, list, size); }

ssize_t clinux_lgetxattr(const char *path, const char *name, void *value, size_t size) {
    return lgetxattr(path, name, value, size);
}

int clinux_lsetxattr(const char *path, const char *name, const void *value, size_t size) {
    return lsetxattr(path, name, value, size, 0);
}
