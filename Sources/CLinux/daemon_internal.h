// SPDX-License-Identifier: Apache-2.0

#pragma once

#include "daemon.h"

#include <stdbool.h>
#include <stddef.h>

// Everything below runs between fork and exec, or in the supervisor, which never calls exec: it is a copy of one thread
// of a program with many, whose locks may be held for ever. So only async-signal-safe calls, no allocation, no stdio.

/// Runs until the owner is gone or the main program failed, ends every descendant, and cleans up.
void clinux_supervise(const struct clinux_daemon *daemon, int report) __attribute__((noreturn));

/// Tells the starter which step failed.
void clinux_report_failure(int report, int step);

/// Starts a program: the child's process id, or -1. A failure of exec is told through `report`.
pid_t clinux_start_program(const struct clinux_daemon *daemon, char *const *arguments, int report, bool supervised);

/// Removes a directory and what is in it, below an open directory, without following links or crossing mounts; with
/// `directories_only` as control groups need it. True when it is gone.
bool clinux_remove_tree(int parent, const char *name, bool directories_only);

/// Calls `visit` with the name of each entry of an open directory but `.` and `..`; `type` is one of DT_*.
void clinux_each_entry(int directory, void (*visit)(const char *name, unsigned char type, void *context), void *context);

enum clinux_daemon_step {
    CLINUX_STEP_FORK,
    CLINUX_STEP_SESSION,
    CLINUX_STEP_DESCRIPTORS,
    CLINUX_STEP_NAMESPACE,
    CLINUX_STEP_PROPAGATION,
    CLINUX_STEP_BIND,
    CLINUX_STEP_DETACH,
    CLINUX_STEP_EXEC,
    CLINUX_STEP_SUPERVISE,
};
