// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <stdint.h>

// Locks that end with their holder.

/// Takes an exclusive open-file-description lock on a whole file without waiting (fcntl F_OFD_SETLK): fails with EAGAIN
/// or EACCES while another description holds it. Ends with the descriptor; cluster file systems and NFS carry it to the
/// other hosts.
int clinux_try_lock(int fd);

/// The same, but shared with all who take it by this function; an exclusive holder keeps them out, and they it.
int clinux_try_lock_shared(int fd);

/// The same for one byte of the file, which need not have so many; `exclusive` or shared.
int clinux_try_lock_byte(int fd, int64_t offset, int exclusive);
