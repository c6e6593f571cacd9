// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <sys/types.h>

/// Has the calling thread alone look at files as a user who is in one group and no other, without the superuser's rights
/// over files: for good, so only for a thread that ends afterwards. Returns 0, or -1 when this process may not do so.
int clinux_look_as(uid_t user, gid_t group);
