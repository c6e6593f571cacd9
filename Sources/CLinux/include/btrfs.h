// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <stdint.h>

// btrfs subvolumes. Each call returns 0, or -1 with errno set; on another file system errno is ENOTTY.

/// Makes an empty subvolume `name` in an open directory.
int clinux_create_subvolume(int directory, const char *name);

/// Makes a writable snapshot `name` in an open directory of the subvolume open as `source`.
int clinux_snapshot_subvolume(int directory, const char *name, int source);

/// How many bytes the name and the value of one extended attribute can have together on the file system of a file; 0 where
/// it is not btrfs.
uint64_t clinux_btrfs_attribute_limit(int descriptor);

/// Makes a read-only subvolume open as `directory` writable: 1 when it was read-only, 0 when there was nothing to do.
int clinux_make_subvolume_writable(int directory);

/// Removes the subvolume `name` of an open directory, whatever is in it but other subvolumes (ENOTEMPTY).
int clinux_destroy_subvolume(int directory, const char *name);

/// Whether an open directory is the root of a subvolume: 1 when it is, else 0.
int clinux_is_subvolume(int directory);

/// Whether a subvolume open as `directory` holds other subvolumes, which a snapshot would leave out: 1, 0, or -1.
int clinux_holds_subvolumes(int directory);
