#pragma once

// btrfs subvolumes. Each call returns 0, or -1 with errno set; on another file system errno is ENOTTY.

/// Makes an empty subvolume `name` in an open directory.
int clinux_create_subvolume(int directory, const char *name);

/// Makes a writable snapshot `name` in an open directory of the subvolume open as `source`.
int clinux_snapshot_subvolume(int directory, const char *name, int source);

/// Removes the subvolume `name` of an open directory, whatever is in it but other subvolumes (ENOTEMPTY).
int clinux_destroy_subvolume(int directory, const char *name);

/// Whether an open directory is the root of a subvolume: 1 when it is, else 0.
int clinux_is_subvolume(int directory);

/// Whether a subvolume open as `directory` holds other subvolumes, which a snapshot would leave out: 1, 0, or -1.
int clinux_holds_subvolumes(int directory);
