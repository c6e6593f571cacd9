// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "daemon_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAXIMUM_DEPTH = 64, PASSES = 16 };

// readdir allocates; the system call under it does not.
struct entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

void clinux_each_entry(int directory, void (*visit)(const char *, unsigned char, void *), void *context) {
    char buffer[4096] __attribute__((aligned(8)));
    for (;;) {
        long count = syscall(SYS_getdents64, directory, buffer, sizeof buffer);
        if (count <= 0) return;
        for (long offset = 0; offset < count;) {
            const struct entry *entry = (const struct entry *)(buffer + offset);
            offset += entry->length;
            if (strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0) {
                visit(entry->name, entry->type, context);
            }
        }
    }
}

struct removal {
    int directory;
    dev_t device;
    int depth;
    bool directories_only;
    bool removed_any;
};

static bool remove_directory(int parent, const char *name, struct removal outer);

static void remove_entry(const char *name, unsigned char type, void *context) {
    struct removal *removal = context;
    if (removal->directories_only && type != DT_DIR) return;
    bool gone = !removal->directories_only && unlinkat(removal->directory, name, 0) == 0;
    if (!gone) gone = remove_directory(removal->directory, name, *removal);
    if (gone) removal->removed_any = true;
}

static bool remove_directory(int parent, const char *name, struct removal outer) {
    if (outer.depth >= MAXIMUM_DEPTH) return false;
    int descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0) return errno == ENOENT;
    struct stat status;
    struct removal removal = outer;
    removal.directory = descriptor;
    removal.depth = outer.depth + 1;
    if (fstat(descriptor, &status) != 0 || (outer.depth > 0 && status.st_dev != outer.device)) {
        close(descriptor);
        return false;
    }
    removal.device = status.st_dev;
    // Removing while reading may skip entries, so it is read again until nothing more can go.
    for (int pass = 0; pass < PASSES; pass++) {
        removal.removed_any = false;
        lseek(descriptor, 0, SEEK_SET);
        clinux_each_entry(descriptor, remove_entry, &removal);
        if (!removal.removed_any) break;
    }
    close(descriptor);
    return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

bool clinux_remove_tree(int parent, const char *name, bool directories_only) {
    struct removal outermost = {.directories_only = directories_only};
    return remove_directory(parent, name, outermost);
}
