// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "processors.h"

#include <sched.h>

int clinux_usable_processors(void)
{
    /* The set has room for 1024 processors; the kernel refuses it on a larger host. */
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 0;
    return CPU_COUNT(&set);
}
