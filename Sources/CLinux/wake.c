// SPDX-License-Identifier: Apache-2.0

#include "wake.h"

#include <sys/eventfd.h>

int clinux_make_wake_descriptor(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }
