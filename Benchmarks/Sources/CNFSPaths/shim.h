// SPDX-License-Identifier: Apache-2.0

#pragma once

// libnfs.h uses `struct timeval` without including its definition.
#include <sys/time.h>

#include <nfsc/libnfs.h>
