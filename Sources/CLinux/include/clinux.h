#pragma once

// What Swift's Glibc module lacks: Linux system calls and constants behind macros or _GNU_SOURCE.
// Every function here returns what the system call returns and leaves errno as the call set it.

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

