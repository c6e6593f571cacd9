// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <lzma.h>

/// The flag is a cast macro, which Swift does not import.
static inline uint32_t clzma_tell_unsupported_check(void) { return LZMA_TELL_UNSUPPORTED_CHECK; }
