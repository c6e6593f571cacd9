// SPDX-License-Identifier: Apache-2.0

#ifndef CFUZZING_H
#define CFUZZING_H

#include <stddef.h>
#include <stdint.h>

/// libFuzzer's own mutation, which LLVMFuzzerCustomMutator builds on; the fuzzer's runtime defines it.
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/// A file in memory that no name leads to; it is gone with the process, however that ends. -1 with `errno` set.
int cfuzzing_memory_file(void);

#endif
