// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "daemon_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    MAXIMUM_PROGRAMS = 4,
    MAXIMUM_GROUPS = 1024,
    GROUP_LENGTH = 256,
    /// How many containers that ended by themselves are remembered; the latest.
    MAXIMUM_ENDED = 4096,
    /// Milliseconds the main program gets to clean up after its containers were killed.
    CLEANUP_TIME = 2000,
    /// Milliseconds each program gets to end by itself.
    END_TIME = 5000,
    /// Milliseconds after which a program that ended is started again at once.
    STABLE_TIME = 5000,
    /// Milliseconds before a program that did not run that long is started again: at first, and at most.
    FIRST_PAUSE = 100,
    LONGEST_PAUSE = 30000,
    /// Milliseconds the last descendants get to die, which only a hung file system can delay.
    KILL_TIME = 10000,
    STEP_TIME = 10,
};

struct program {
    char *const *arguments;
    pid_t pid;
    long started;
    /// While it does not run: when it is started again, and how long it has waited for that.
    long due;
    long pause;
};

/// The supervisor is a process of its own with one thread, so its state may be static.
static struct {
    const struct clinux_daemon *daemon;
    struct program programs[MAXIMUM_PROGRAMS];
    int program_count;
    int signals;
    /// Whether the starter has seen everything answer. Before that a program that ends at once is a failed start.
    bool established;
    char groups[MAXIMUM_GROUPS][GROUP_LENGTH];
    int group_count;
    pid_t ended[MAXIMUM_ENDED];
    unsigned ended_count;
} supervisor;

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000L + time.tv_nsec / 1000000L;
}

static struct program *program_of(pid_t pid) {
    for (int index = 0; index < supervisor.program_count; index++) {
        if (supervisor.programs[index].pid == pid) return &supervisor.programs[index];
    }
    return NULL;
}

/// Collects every child that has ended; adopted ones are nobody else's to collect.
static void reap(void) {
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid <= 0) return;
        struct program *program = program_of(pid);
        if (program) {
            program->pid = 0;
            bool stable = now() - program->started >= STABLE_TIME;
            program->pause = stable ? 0 : program->pause == 0 ? FIRST_PAUSE : program->pause * 2;
            if (program->pause > LONGEST_PAUSE) program->pause = LONGEST_PAUSE;
            program->due = now() + program->pause;
        } else {
            supervisor.ended[supervisor.ended_count++ % MAXIMUM_ENDED] = pid;
        }
    }
}

/// Waits for a signal, or the time to pass.
static void pause_for(int milliseconds) {
    struct pollfd wait = {.fd = supervisor.signals, .events = POLLIN};
    struct signalfd_siginfo information;
    if (poll(&wait, 1, milliseconds) > 0) {
        ssize_t ignored = read(supervisor.signals, &information, sizeof information);
        (void)ignored;
    }
    reap();
}

/// Reads a small file of `/proc/<pid>/`; 0 when it is not there.
static size_t read_process_file(int proc, const char *pid, const char *file, char *buffer, size_t size) {
    buffer[0] = 0;
    int directory = openat(proc, pid, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return 0;
    int descriptor = openat(directory, file, O_RDONLY | O_CLOEXEC);
    close(directory);
    if (descriptor < 0) return 0;
    size_t used = 0;
    for (ssize_t count; used < size - 1 && (count = read(descriptor, buffer + used, size - 1 - used)) > 0;) {
        used += (size_t)count;
    }
    close(descriptor);
    buffer[used] = 0;
    return used;
}

static pid_t parse_pid(const char *text) {
    pid_t pid = 0;
    for (; *text >= '0' && *text <= '9'; text++) pid = pid * 10 + (*text - '0');
    return pid;
}

struct scan {
    int proc;
    void (*visit)(int proc, const char *pid);
    int count;
};

static void scan_process(const char *name, unsigned char type, void *context) {
    (void)type;
    struct scan *scan = context;
    if (*name < '1' || *name > '9') return;
    char text[1024];
    if (read_process_file(scan->proc, name, "stat", text, sizeof text) == 0) return;
    // `pid (name) state parent …`: the name may hold anything, so its end is searched from behind.
    const char *end = strrchr(text, ')');
    if (!end || strlen(end) < 5 || parse_pid(end + 4) != getpid()) return;
    // A child of ours that has ended keeps its number until we collect it: it cannot be somebody else's by now.
    if (program_of(parse_pid(name)) || end[2] == 'Z') return;
    scan->count++;
    if (scan->visit) scan->visit(scan->proc, name);
}

/// Visits every living child but the programs: what daemonised itself below them. Returns how many there are.
static int each_adopted(void (*visit)(int proc, const char *pid)) {
    struct scan scan = {.proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), .visit = visit};
    if (scan.proc < 0) return 0;
    clinux_each_entry(scan.proc, scan_process, &scan);
    close(scan.proc);
    return scan.count;
}

/// Remembers a control group of libvirt's making, once. libvirt names it `….libvirt-lxc` where no systemd does it.
static void remember_group(const char *path, size_t length) {
    static const char mark[] = ".libvirt-";
    const char *found = memmem(path, length, mark, sizeof mark - 1);
    if (!found) return;
    const char *slash = memchr(found, '/', length - (size_t)(found - path));
    if (slash) length = (size_t)(slash - path);
    if (length >= GROUP_LENGTH || supervisor.group_count == MAXIMUM_GROUPS) return;
    for (int index = 0; index < supervisor.group_count; index++) {
        const char *known = supervisor.groups[index];
        if (strlen(known) == length && memcmp(known, path, length) == 0) return;
    }
    memcpy(supervisor.groups[supervisor.group_count], path, length);
    supervisor.groups[supervisor.group_count++][length] = 0;
}

static void remember_groups(int proc, const char *pid) {
    char text[8192];
    read_process_file(proc, pid, "cgroup", text, sizeof text);
    // Lines of `number:controllers:/path`.
    for (char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        const char *path = memchr(line, '/', length);
        if (path) remember_group(path + 1, length - (size_t)(path + 1 - line));
        line += length + (line[length] == '\n');
    }
}

static void remember_and_kill(int proc, const char *pid) {
    remember_groups(proc, pid);
    kill(parse_pid(pid), SIGKILL);
}

/// True when none of the control groups that were remembered is left; with `really`, removes them.
static bool groups_are_gone(bool really) {
    bool all_gone = true;
    for (const char *const *mount = supervisor.daemon->cgroup_mounts; *mount; mount++) {
        int root = open(*mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root < 0) continue;
        for (int index = 0; index < supervisor.group_count; index++) {
            const char *group = supervisor.groups[index];
            bool gone = really ? clinux_remove_tree(root, group, true) : faccessat(root, group, F_OK, 0) != 0;
            all_gone = all_gone && gone;
        }
        close(root);
    }
    return all_gone;
}

static void remove_group_of_ended(const char *name, unsigned char type, void *context) {
    (void)type;
    // libvirt names a container's group `lxc-<its controller's number>-<name>.libvirt-lxc`.
    if (strncmp(name, "lxc-", 4) != 0 || !strstr(name, ".libvirt-lxc")) return;
    unsigned count = supervisor.ended_count < MAXIMUM_ENDED ? supervisor.ended_count : MAXIMUM_ENDED;
    for (unsigned index = 0; index < count; index++) {
        if (supervisor.ended[index] != parse_pid(name + 4)) continue;
        // The kernel keeps a group in which anything lives, should the number be another daemon's container's by now.
        clinux_remove_tree(*(const int *)context, name, true);
        return;
    }
}

/// Removes what the main program had not yet removed of containers that ended shortly before it did.
static void remove_groups_of_ended(void) {
    for (const char *const *mount = supervisor.daemon->cgroup_mounts; *mount; mount++) {
        int root = open(*mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root < 0) continue;
        int machine = openat(root, "machine", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(root);
        if (machine < 0) continue;
        clinux_each_entry(machine, remove_group_of_ended, &machine);
        close(machine);
    }
}

static void end_program(struct program *program) {
    if (program->pid > 0) kill(program->pid, SIGTERM);
    for (long deadline = now() + END_TIME; program->pid > 0 && now() < deadline;) pause_for(STEP_TIME);
    if (program->pid > 0) kill(program->pid, SIGKILL);
    for (long deadline = now() + END_TIME; program->pid > 0 && now() < deadline;) pause_for(STEP_TIME);
}

/// Ends containers first, while the main program can still clean up after them; then the programs; then the rest.
static void end_everything(void) {
    for (long deadline = now() + CLEANUP_TIME; now() < deadline;) {
        int left = each_adopted(remember_and_kill);
        if (left == 0 && groups_are_gone(false)) break;
        pause_for(STEP_TIME);
    }
    for (int index = supervisor.program_count - 1; index >= 0; index--) end_program(&supervisor.programs[index]);
    for (long deadline = now() + KILL_TIME; each_adopted(remember_and_kill) > 0 && now() < deadline;) pause_for(STEP_TIME);
    for (long deadline = now() + CLEANUP_TIME; !groups_are_gone(true) && now() < deadline;) pause_for(STEP_TIME);
    remove_groups_of_ended();
}

static bool start(struct program *program, int report) {
    program->started = now();
    program->pid = clinux_start_program(supervisor.daemon, program->arguments, report, true);
    return program->pid > 0;
}

/// Starts again what has ended, after waits that grow: what runs below the programs goes on meanwhile, and is never ended
/// because a program does not stay. Returns the milliseconds until the next start, -1 when none is due; -2 when the first
/// start of all has failed.
static int keep_running(void) {
    int next = -1;
    for (int index = 0; index < supervisor.program_count; index++) {
        struct program *program = &supervisor.programs[index];
        if (program->pid > 0) continue;
        if (!supervisor.established && each_adopted(NULL) == 0) return -2;
        long left = program->due - now();
        if (left <= 0 && start(program, -1)) continue;
        if (left <= 0) {
            // No process can be made now.
            left = LONGEST_PAUSE;
            program->due = now() + left;
        }
        if (next < 0 || left < next) next = (int)left;
    }
    return next;
}

/// True when the owner is gone; what it writes says that everything answers.
static bool owner_is_gone(void) {
    char message;
    ssize_t count = read(supervisor.daemon->owner, &message, 1);
    if (count == 1) supervisor.established = true;
    return count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN);
}

/// True when a signal asks to end; SIGCHLD only has children collected.
static bool read_signal(void) {
    struct signalfd_siginfo information;
    ssize_t count = read(supervisor.signals, &information, sizeof information);
    reap();
    return count == (ssize_t)sizeof information && information.ssi_signo != SIGCHLD;
}

static void wait_for_the_end(void) {
    struct pollfd waits[] = {
        {.fd = supervisor.daemon->owner, .events = POLLIN},
        {.fd = supervisor.signals, .events = POLLIN},
    };
    for (int wait; (wait = keep_running()) != -2;) {
        int ready = poll(waits, 2, wait);
        if (ready < 0 && errno != EINTR) return;
        if (ready <= 0) continue;
        if (waits[0].revents && owner_is_gone()) return;
        if (waits[1].revents && read_signal()) return;
    }
}

static bool prepare(void) {
    sigset_t watched, blocked;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    sigfillset(&blocked);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    supervisor.signals = signalfd(-1, &watched, SFD_CLOEXEC);
    return supervisor.signals >= 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0;
}

void clinux_supervise(const struct clinux_daemon *daemon, int report) {
    supervisor.daemon = daemon;
    prctl(PR_SET_NAME, "libvirtd-owner");
    bool started = prepare();
    for (char *const *const *command = daemon->commands; started && *command; command++) {
        if (supervisor.program_count == MAXIMUM_PROGRAMS) break;
        struct program *program = &supervisor.programs[supervisor.program_count++];
        program->arguments = *command;
        started = start(program, report);
    }
    if (!started) clinux_report_failure(report, CLINUX_STEP_SUPERVISE);
    close(report);
    if (started) wait_for_the_end();
    end_everything();
    if (daemon->directory) clinux_remove_tree(AT_FDCWD, daemon->directory, false);
    _exit(started ? 0 : 1);
}
