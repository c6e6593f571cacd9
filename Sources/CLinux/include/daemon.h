// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <sys/types.h>

/// Daemons that are to run in a mount namespace of their own. Every list ends with NULL and all text is absolute paths;
/// it is prepared by the caller because nothing may be allocated between fork and exec.
struct clinux_daemon {
    /// Bind mounts inside the namespace: `mount_sources[i]` covers `mount_targets[i]`.
    const char *const *mount_sources;
    const char *const *mount_targets;
    /// Mount points that are detached inside the namespace.
    const char *const *detached_mounts;
    /// The programs, each an argument list that starts with the program's path; the last is the main one.
    char *const *const *commands;
    char *const *environment;
    /// The descriptor that becomes stdout and stderr.
    int log;
    /// Supervised: the read end of a pipe; when its last writer is gone, everything is ended. A byte written to it says
    /// that the programs answer: from then on those that end are started again, after waits that grow, where before one
    /// that ends at once ends everything. Otherwise -1: the programs are on their own.
    int owner;
    /// Supervised: the directory that is removed at the end.
    const char *directory;
    /// Supervised: mount points of control groups, where what dead containers left behind is removed.
    const char *const *cgroup_mounts;
};

/// What went wrong in which step; `step` is static text.
struct clinux_daemon_failure {
    const char *step;
    int error;
};

/// Starts the programs and returns once they run: the supervisor's process id, or the main program's where there is no
/// supervisor. On failure nothing is left running, the answer is -1 and `failure` tells why.
pid_t clinux_daemon_start(const struct clinux_daemon *daemon, struct clinux_daemon_failure *failure);

/// A pipe whose ends no program started meanwhile inherits: pipe2(2) with O_CLOEXEC.
int clinux_pipe(int ends[2]);

/// Waits for the end of one child process, without touching others: 0 when it has ended (or is no child of ours), 1
/// when it runs and `nonblocking` is set.
int clinux_await_child(pid_t child, int nonblocking);
