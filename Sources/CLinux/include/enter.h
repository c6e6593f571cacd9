// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// What entering a guest's namespaces needs. The program that enters is assembled for each command: the machine code of
// enter_helper.S and the list of system calls it makes.

/// Where the program's parts are in its memory.
extern const uint64_t clinux_enter_code_address;
extern const uint64_t clinux_enter_list_address;
extern const uint64_t clinux_enter_data_address;

/// The machine code, which needs no library and no other section.
const void *clinux_enter_code(size_t *size);

/// The ELF number of this architecture.
extern const uint16_t clinux_elf_machine;

/// The numbers of the system calls that are listed, which differ between architectures.
struct clinux_calls {
    long capset, chdir, clone, close, dup3, execve, exit_group, fchown, fcntl, flock, ioctl, ioprio_set, keyctl, mkdirat,
        mount, openat, openat2, personality, ppoll, prctl, prlimit64, read, rt_sigaction, rt_sigprocmask, sched_setaffinity,
        sched_setattr, sendmsg, sendto, set_mempolicy, setgroups, setns, setresgid, setresuid, setsid, umask, umount2,
        unlinkat, unshare, waitid, write;
};
extern const struct clinux_calls clinux_calls;

/// Requests of ioctl(2) and prctl(2), and flags, that Swift does not import.
struct clinux_requests {
    uint64_t lock_terminal, open_peer, window_size, control_terminal, death_signal, dumpable, drop_bounding, ambient,
        no_new_privileges, secure_bits, timer_slack;
};
extern const struct clinux_requests clinux_requests;

/// Flags of clone(2).
struct clinux_clone {
    int ipc, uts, net, pid, mount, user, cgroup, vfork, pidfd;
};
extern const struct clinux_clone clinux_clone;

/// posix_spawn_file_actions_addclosefrom_np(3); the actions are a posix_spawn_file_actions_t.
int clinux_spawn_close_from(void *actions, int first);

/// An executable memory file that can be sealed, closed in programs that are started.
int clinux_memory_file(const char *name);

/// Forbids every change of a memory file.
int clinux_seal(int descriptor);

/// Sends a signal to the process whose directory in /proc is open (pidfd_send_signal(2)).
int clinux_signal_process(int directory, int signal);

/// A pair of connected sockets that keep messages apart, closed in programs that are started.
int clinux_message_pair(int ends[2]);

/// Receives a message, and a descriptor that came with it or -1.
ssize_t clinux_receive(int socket, void *buffer, size_t size, int *descriptor);

/// write(2) without the signal SIGPIPE.
ssize_t clinux_write(int descriptor, const void *bytes, size_t size);

/// Sets the size of a terminal.
int clinux_set_window_size(int descriptor, uint16_t rows, uint16_t columns);

/// Whether a descriptor is the controlling end of a pseudo terminal of a devpts: a device of the kernel's own number on
/// that file system. What answers TIOCGPTN alone can be another driver's.
int clinux_is_terminal_master(int descriptor);

/// How many bytes can be read from a pipe or a terminal at once, or -1.
int clinux_pending(int descriptor);

/// This program's own limits of a resource (getrlimit(2)), whatever number the C library knows.
int clinux_resource_limit(int resource, uint64_t *soft, uint64_t *hard);

/// The priority of a process for disks (ioprio_get(2)), or -1.
int clinux_io_priority(pid_t process);

/// Whether a namespace of process numbers that is open is one, by its inode, or was made inside of it: 1 or 0, or -1.
int clinux_is_within_namespace(int descriptor, uint64_t inode);

/// Opens the tree of control groups of version 2 without a place where it is mounted (fsopen(2)), or -1.
int clinux_open_control_groups(void);

/// Sets O_NONBLOCK.
int clinux_set_nonblocking(int descriptor);
