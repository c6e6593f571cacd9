// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "btrfs.h"

#include <errno.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

// The inode number of a subvolume's root (BTRFS_FIRST_FREE_OBJECTID, which is in no header for programs).
#define SUBVOLUME_ROOT 256

// Another file system might give one of the request numbers another meaning.
static int is_btrfs(int directory) {
    struct statfs status;
    if (fstatfs(directory, &status) != 0) {
        return 0;
    }
    if (status.f_type == BTRFS_SUPER_MAGIC) {
        return 1;
    }
    errno = ENOTTY;
    return 0;
}

static int named_request(int directory, unsigned long request, const char *name, int source) {
    struct btrfs_ioctl_vol_args arguments;
    memset(&arguments, 0, sizeof arguments);
    if (strlen(name) > BTRFS_PATH_NAME_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (!is_btrfs(directory)) {
        return -1;
    }
    strcpy(arguments.name, name);
    arguments.fd = source;
    return ioctl(directory, request, &arguments) < 0 ? -1 : 0;
}

int clinux_create_subvolume(int directory, const char *name) {
    return named_request(directory, BTRFS_IOC_SUBVOL_CREATE, name, 0);
}

int clinux_snapshot_subvolume(int directory, const char *name, int source) {
    return named_request(directory, BTRFS_IOC_SNAP_CREATE, name, source);
}

int clinux_destroy_subvolume(int directory, const char *name) {
    return named_request(directory, BTRFS_IOC_SNAP_DESTROY, name, 0);
}

int clinux_is_subvolume(int directory) {
    struct stat status;
    return is_btrfs(directory) && fstat(directory, &status) == 0 && status.st_ino == SUBVOLUME_ROOT;
}

uint64_t clinux_btrfs_attribute_limit(int descriptor) {
    struct btrfs_ioctl_fs_info_args arguments;
    memset(&arguments, 0, sizeof arguments);
    if (!is_btrfs(descriptor) || ioctl(descriptor, BTRFS_IOC_FS_INFO, &arguments) != 0) {
        return 0;
    }
    // BTRFS_MAX_XATTR_SIZE: a leaf without its header, and without the item's and the entry's own fields (btrfs_tree.h).
    return arguments.nodesize - 101 - 25 - 30;
}

int clinux_make_subvolume_writable(int directory) {
    uint64_t flags = 0;
    if (!is_btrfs(directory) || ioctl(directory, BTRFS_IOC_SUBVOL_GETFLAGS, &flags) != 0) {
        return -1;
    }
    if (!(flags & BTRFS_SUBVOL_RDONLY)) {
        return 0;
    }
    flags &= ~(uint64_t)BTRFS_SUBVOL_RDONLY;
    return ioctl(directory, BTRFS_IOC_SUBVOL_SETFLAGS, &flags) == 0 ? 1 : -1;
}

int clinux_holds_subvolumes(int directory) {
    struct btrfs_ioctl_get_subvol_rootref_args *arguments = calloc(1, sizeof *arguments);
    if (arguments == NULL) {
        return -1;
    }
    int result = ioctl(directory, BTRFS_IOC_GET_SUBVOL_ROOTREF, arguments);
    // EOVERFLOW: there are more than the answer has room for.
    int holds = result == 0 ? arguments->num_items > 0 : errno == EOVERFLOW ? 1 : -1;
    free(arguments);
    return holds;
}
