// SPDX-License-Identifier: Apache-2.0

#pragma once

/// How many processors the calling thread may run on (sched_getaffinity(2)); 0 if the kernel does not say.
int clinux_usable_processors(void);
