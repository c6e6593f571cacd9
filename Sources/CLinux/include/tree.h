// SPDX-License-Identifier: Apache-2.0

#pragma once

// File system calls for the tree engine. Each returns what the system call returns and leaves errno as the call set it.

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// Open flags that need _GNU_SOURCE.
extern const int clinux_o_path;
extern const int clinux_o_nofollow;
extern const int clinux_o_directory;
extern const int clinux_o_cloexec;

/// What the engine asks of statx(2), with the fields of struct statx joined where they are split.
struct clinux_stat {
    uint64_t device;
    /// 0 where the kernel does not tell (before Linux 5.8).
    uint64_t mount;
    uint64_t inode;
    uint64_t size;
    /// Allocated units of 512 bytes.
    uint64_t blocks;
    int64_t modified_seconds;
    int64_t changed_seconds;
    uint32_t modified_nanoseconds;
    uint32_t changed_nanoseconds;
    uint32_t links;
    uint32_t user;
    uint32_t group;
    uint32_t mode;
    uint32_t device_major;
    uint32_t device_minor;
};

/// statx(2) that follows neither a final symbolic link nor an automount; an empty path means the descriptor itself.
int clinux_stat_at(int directory, const char *path, struct clinux_stat *result);

/// openat(2), which is variadic and therefore not imported.
int clinux_open(int directory, const char *path, int flags, mode_t mode);

/// openat2(2) with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV.
int clinux_open_beneath(int directory, const char *path, int flags);

/// openat2(2) with RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS: links and `..` are followed, and lead nowhere but below.
int clinux_open_in_root(int directory, const char *path, int flags);

/// getdents64(2).
ssize_t clinux_getdents64(int directory, void *buffer, size_t size);

/// mknodat(2) with the device number in its parts.
int clinux_mknodat(int directory, const char *name, mode_t mode, uint32_t major, uint32_t minor);

/// renameat2(2) with RENAME_NOREPLACE.
int clinux_rename_noreplace(int old_directory, const char *old_name, int new_directory, const char *new_name);

/// linkat(2) of an open descriptor, also one opened with O_PATH.
int clinux_link_descriptor(int descriptor, int directory, const char *name);

/// chmod(2) of an inode open with O_PATH, through /proc/self/fd.
int clinux_chmod_path_descriptor(int descriptor, mode_t mode);

/// Gives the calling thread a file mode creation mask of its own and sets it to 0, so that a mode given to openat(2) is
/// the one the file gets. Only for threads that run nobody else's code.
int clinux_clear_own_umask(void);

/// Has the calling thread alone make files as another user and group (setfsuid(2), setfsgid(2)).
void clinux_set_creator(uid_t user, gid_t group);

/// syncfs(2).
int clinux_syncfs(int descriptor);

/// lseek(2) with SEEK_DATA and SEEK_HOLE.
off_t clinux_seek_data(int descriptor, off_t offset);
off_t clinux_seek_hole(int descriptor, off_t offset);

/// The FICLONE request: makes `destination` share all extents of `source`.
int clinux_clone_file(int destination, int source);

/// Makes an empty file one whose contents are not copied on write (chattr +C) where `source` is one: only such files share
/// extents with each other on btrfs. Returns 1 when the flag was set, 0 when there was nothing to do, -1 on failure.
int clinux_copy_nocow(int destination, int source);

/// copy_file_range(2) with explicit offsets.
ssize_t clinux_copy_file_range(int source, off_t source_offset, int destination, off_t destination_offset, size_t size);

/// Clears the immutable and the append-only flag. Returns 1 when one was set, 0 when none was, -1 on failure.
int clinux_clear_protection(int descriptor);

ssize_t clinux_flistxattr(int descriptor, char *list, size_t size);
ssize_t clinux_fgetxattr(int descriptor, const char *name, void *value, size_t size);
int clinux_fsetxattr(int descriptor, const char *name, const void *value, size_t size);
int clinux_fremovexattr(int descriptor, const char *name);
ssize_t clinux_llistxattr(const char *path, char *list, size_t size);
ssize_t clinux_lgetxattr(const char *path, const char *name, void *value, size_t size);
int clinux_lsetxattr(const char *path, const char *name, const void *value, size_t size);
