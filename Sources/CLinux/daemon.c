// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "daemon.h"
#include "daemon_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/// What travels from the started processes to the starter: a step that failed, or the main program's process id.
struct report {
    int32_t step;
    int32_t error;
    int32_t pid;
};

static const char *const step_names[] = {
    [CLINUX_STEP_FORK] = "fork",
    [CLINUX_STEP_SESSION] = "setsid",
    [CLINUX_STEP_DESCRIPTORS] = "dup2",
    [CLINUX_STEP_NAMESPACE] = "unshare",
    [CLINUX_STEP_PROPAGATION] = "mount (propagation)",
    [CLINUX_STEP_BIND] = "mount (bind)",
    [CLINUX_STEP_DETACH] = "umount2",
    [CLINUX_STEP_EXEC] = "execve",
    [CLINUX_STEP_SUPERVISE] = "supervise",
};

enum { OWNER = 3, REPORT = 4, FIRST_UNUSED = 5, OUT_OF_THE_WAY = 16 };

void clinux_report_failure(int report, int step) {
    struct report message = {.step = step, .error = errno, .pid = -1};
    // Nobody is left to be told when this fails: the starter then sees a missing report.
    ssize_t ignored = write(report, &message, sizeof message);
    (void)ignored;
}

static void close_from(unsigned first) {
    if (syscall(SYS_close_range, first, ~0U, 0) == 0) return;
    struct rlimit limit = {0};
    getrlimit(RLIMIT_NOFILE, &limit);
    for (rlim_t descriptor = first; descriptor < limit.rlim_cur; descriptor++) close((int)descriptor);
}

static void reset_signal_handlers(void) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++) sigaction(number, &action, NULL);
}

/// Moves the descriptors we keep to fixed places and closes all others, so that nothing of the program leaks.
static bool arrange_descriptors(const struct clinux_daemon *daemon, int report) {
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int from[] = {null, daemon->log, daemon->log, daemon->owner < 0 ? null : daemon->owner, report};
    enum { COUNT = sizeof from / sizeof *from };
    for (int index = 0; index < COUNT; index++) {
        from[index] = fcntl(from[index], F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
        if (from[index] < 0) return false;
    }
    for (int index = 0; index < COUNT; index++) {
        if (dup3(from[index], index, index >= OWNER ? O_CLOEXEC : 0) < 0) return false;
    }
    close_from(FIRST_UNUSED);
    return true;
}

static int enter_namespace(const struct clinux_daemon *daemon) {
    if (unshare(CLONE_NEWNS) != 0) return CLINUX_STEP_NAMESPACE;
    // Slave: what the host mounts later shows up here, and nothing that is mounted here shows up there.
    if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) != 0) return CLINUX_STEP_PROPAGATION;
    for (size_t index = 0; daemon->mount_sources[index]; index++) {
        if (mount(daemon->mount_sources[index], daemon->mount_targets[index], NULL, MS_BIND, NULL) != 0) {
            return CLINUX_STEP_BIND;
        }
    }
    for (const char *const *path = daemon->detached_mounts; *path; path++) {
        if (umount2(*path, MNT_DETACH | UMOUNT_NOFOLLOW) != 0) return CLINUX_STEP_DETACH;
    }
    return -1;
}

pid_t clinux_start_program(const struct clinux_daemon *daemon, char *const *arguments, int report, bool supervised) {
    pid_t parent = getpid();
    pid_t child = fork();
    if (child != 0) return child;
    if (supervised) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) _exit(1);
    } else {
        setsid();
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(arguments[0], arguments, daemon->environment);
    clinux_report_failure(report, CLINUX_STEP_EXEC);
    _exit(127);
}

static void run_detached(const struct clinux_daemon *daemon) {
    struct report message = {.step = -1};
    for (char *const *const *command = daemon->commands; *command; command++) {
        message.pid = clinux_start_program(daemon, *command, REPORT, false);
        if (message.pid < 0) {
            clinux_report_failure(REPORT, CLINUX_STEP_FORK);
            _exit(1);
        }
    }
    ssize_t ignored = write(REPORT, &message, sizeof message);
    (void)ignored;
    _exit(0);
}

static void run_child(const struct clinux_daemon *daemon, int report) {
    reset_signal_handlers();
    int failed = -1;
    if (setsid() < 0) {
        failed = CLINUX_STEP_SESSION;
    } else if (!arrange_descriptors(daemon, report)) {
        failed = CLINUX_STEP_DESCRIPTORS;
    } else {
        report = REPORT;
        umask(022);
        failed = chdir("/") == 0 ? enter_namespace(daemon) : CLINUX_STEP_SESSION;
    }
    if (failed >= 0) {
        clinux_report_failure(report, failed);
        _exit(1);
    }
    if (daemon->owner < 0) run_detached(daemon);
    struct clinux_daemon supervised = *daemon;
    supervised.owner = OWNER;
    clinux_supervise(&supervised, REPORT);
}

/// Reads reports until every writer has called exec or is gone: the main program's process id where it was told, else 0;
/// -1 after a failure.
static pid_t read_reports(int report, struct clinux_daemon_failure *failure) {
    struct report message;
    pid_t pid = 0;
    for (;;) {
        ssize_t count = read(report, &message, sizeof message);
        if (count < 0 && errno == EINTR) continue;
        if (count != (ssize_t)sizeof message) return failure->step ? -1 : pid;
        if (message.step < 0) {
            pid = message.pid;
        } else if (!failure->step) {
            failure->step = step_names[message.step];
            failure->error = message.error;
        }
    }
}

pid_t clinux_daemon_start(const struct clinux_daemon *daemon, struct clinux_daemon_failure *failure) {
    *failure = (struct clinux_daemon_failure){0};
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) {
        *failure = (struct clinux_daemon_failure){"pipe2", errno};
        return -1;
    }
    // A handler of the program must not run in the child, so signals wait until the child has reset them.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t child = fork();
    int error = errno;
    if (child == 0) run_child(daemon, report[1]);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (child < 0) {
        close(report[0]);
        *failure = (struct clinux_daemon_failure){step_names[CLINUX_STEP_FORK], error};
        return -1;
    }
    pid_t main = read_reports(report[0], failure);
    close(report[0]);
    if (main < 0 || daemon->owner < 0) clinux_await_child(child, 0);
    return main != 0 ? main : child;
}

int clinux_await_child(pid_t child, int nonblocking) {
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_PID, (id_t)child, &info, WEXITED | (nonblocking ? WNOHANG : 0)) == 0) return info.si_pid == 0;
        // ECHILD: somebody else has waited for it, so it has ended.
        if (errno != EINTR) return 0;
    }
}

int clinux_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }
