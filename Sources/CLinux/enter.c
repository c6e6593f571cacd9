// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "enter.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <linux/prctl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

// enter_helper.S knows the latter two by value.
const uint64_t clinux_enter_code_address = 0x400000;
const uint64_t clinux_enter_list_address = 0x500000;
const uint64_t clinux_enter_data_address = 0x600000;

extern const unsigned char clinux_enter_begin[], clinux_enter_end[];

const void *clinux_enter_code(size_t *size) {
    *size = (size_t)(clinux_enter_end - clinux_enter_begin);
    return clinux_enter_begin;
}

#if defined(__x86_64__)
const uint16_t clinux_elf_machine = EM_X86_64;
#elif defined(__aarch64__)
const uint16_t clinux_elf_machine = EM_AARCH64;
#endif

const struct clinux_calls clinux_calls = {
    .capset = SYS_capset, .chdir = SYS_chdir, .clone = SYS_clone, .close = SYS_close, .dup3 = SYS_dup3,
    .execve = SYS_execve, .exit_group = SYS_exit_group, .fchown = SYS_fchown, .fcntl = SYS_fcntl, .flock = SYS_flock, .ioctl = SYS_ioctl,
    .ioprio_set = SYS_ioprio_set, .keyctl = SYS_keyctl, .mkdirat = SYS_mkdirat, .mount = SYS_mount,
    .openat = SYS_openat, .openat2 = SYS_openat2, .personality = SYS_personality, .ppoll = SYS_ppoll,
    .prctl = SYS_prctl, .prlimit64 = SYS_prlimit64, .read = SYS_read, .rt_sigaction = SYS_rt_sigaction,
    .rt_sigprocmask = SYS_rt_sigprocmask, .sched_setaffinity = SYS_sched_setaffinity,
    .sched_setattr = SYS_sched_setattr, .sendmsg = SYS_sendmsg, .sendto = SYS_sendto,
    .set_mempolicy = SYS_set_mempolicy, .setgroups = SYS_setgroups, .setns = SYS_setns, .setresgid = SYS_setresgid,
    .setresuid = SYS_setresuid, .setsid = SYS_setsid, .umask = SYS_umask, .umount2 = SYS_umount2,
    .unlinkat = SYS_unlinkat, .unshare = SYS_unshare, .waitid = SYS_waitid, .write = SYS_write,
};

const struct clinux_requests clinux_requests = {
    .lock_terminal = TIOCSPTLCK, .open_peer = TIOCGPTPEER, .window_size = TIOCSWINSZ,
    .control_terminal = TIOCSCTTY, .death_signal = PR_SET_PDEATHSIG, .dumpable = PR_SET_DUMPABLE, .drop_bounding = PR_CAPBSET_DROP,
    .ambient = PR_CAP_AMBIENT, .no_new_privileges = PR_SET_NO_NEW_PRIVS, .secure_bits = PR_SET_SECUREBITS,
    .timer_slack = PR_SET_TIMERSLACK,
};

// Headers older than glibc 2.31 lack it.
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif

const struct clinux_clone clinux_clone = {
    .ipc = CLONE_NEWIPC, .uts = CLONE_NEWUTS, .net = CLONE_NEWNET, .pid = CLONE_NEWPID, .mount = CLONE_NEWNS,
    .user = CLONE_NEWUSER, .cgroup = CLONE_NEWCGROUP, .vfork = CLONE_VFORK, .pidfd = CLONE_PIDFD,
};

int clinux_spawn_close_from(void *actions, int first) {
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
}

// Headers older than Linux 6.3 lack it; the kernel's numbers never change.
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

int clinux_memory_file(const char *name) {
    int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int descriptor = memfd_create(name, flags | MFD_EXEC);
    if (descriptor < 0 && errno == EINVAL) descriptor = memfd_create(name, flags);
    return descriptor;
}

int clinux_seal(int descriptor) {
    return fcntl(descriptor, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
}

int clinux_signal_process(int directory, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, directory, signal, NULL, 0);
}

int clinux_message_pair(int ends[2]) { return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends); }

ssize_t clinux_receive(int socket, void *buffer, size_t size, int *descriptor) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = buffer, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    *descriptor = -1;
    ssize_t count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    struct cmsghdr *header = count < 0 ? NULL : CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof(int))) {
        memcpy(descriptor, CMSG_DATA(header), sizeof(int));
    }
    return count;
}

ssize_t clinux_write(int descriptor, const void *bytes, size_t size) {
    sigset_t pipe, before, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    // A signal that waited before is another's, and is left.
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    ssize_t count = write(descriptor, bytes, size);
    int error = errno;
    if (count < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE)) {
        struct timespec none = {0};
        while (sigtimedwait(&pipe, NULL, &none) < 0 && errno == EINTR) continue;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return count;
}

int clinux_set_window_size(int descriptor, uint16_t rows, uint16_t columns) {
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    return ioctl(descriptor, TIOCSWINSZ, &size);
}

int clinux_is_terminal_master(int descriptor) {
    int number;
    struct stat status;
    struct statfs system;
    // Documentation/admin-guide/devices.txt: 5:2 is /dev/ptmx, also as devpts has it.
    return fstat(descriptor, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(5, 2) &&
        fstatfs(descriptor, &system) == 0 && system.f_type == DEVPTS_SUPER_MAGIC &&
        ioctl(descriptor, TIOCGPTN, &number) == 0;
}

int clinux_pending(int descriptor) {
    int count;
    return ioctl(descriptor, FIONREAD, &count) < 0 ? -1 : count;
}

int clinux_resource_limit(int resource, uint64_t *soft, uint64_t *hard) {
    uint64_t limits[2];
    if (syscall(SYS_prlimit64, 0, resource, NULL, limits) != 0) return -1;
    *soft = limits[0];
    *hard = limits[1];
    return 0;
}

int clinux_io_priority(pid_t process) {
    const int of_process = 1;
    return (int)syscall(SYS_ioprio_get, of_process, process);
}

int clinux_is_within_namespace(int descriptor, uint64_t inode) {
    int result = -1, current = descriptor;
    // The kernel nests no more than 32.
    for (int level = 0; level < 40; level++) {
        struct stat status;
        if (fstat(current, &status) != 0) break;
        if (status.st_ino == inode) {
            result = 1;
            break;
        }
        int parent = ioctl(current, NS_GET_PARENT);
        if (parent < 0) {
            // EPERM: the host's own, or one beyond it.
            result = errno == EPERM ? 0 : -1;
            break;
        }
        if (current != descriptor) close(current);
        current = parent;
    }
    if (current != descriptor) close(current);
    return result;
}

int clinux_open_control_groups(void) {
    // Numbers of fsopen(2), which glibc has no wrappers for before 2.36.
    const unsigned close_on_exec = 1, create = 6;
    int system = (int)syscall(SYS_fsopen, "cgroup2", close_on_exec);
    if (system < 0) return -1;
    int tree = -1;
    if (syscall(SYS_fsconfig, system, create, NULL, NULL, 0) == 0) {
        tree = (int)syscall(SYS_fsmount, system, close_on_exec, 0);
    }
    int error = errno;
    close(system);
    errno = error;
    return tree;
}

int clinux_set_nonblocking(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    return flags < 0 ? -1 : fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
}
