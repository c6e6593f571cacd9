// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "fuzzing.h"

#include <sys/mman.h>

int cfuzzing_memory_file(void) { return memfd_create("fuzzed", MFD_CLOEXEC); }
