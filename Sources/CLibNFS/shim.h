// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <stdbool.h>
#include <stddef.h>

// libnfs.h uses `struct timeval` without including its definition.
#include <sys/time.h>

#include <nfsc/libnfs.h>
#include <nfsc/libnfs-raw.h>
#include <nfsc/libnfs-raw-mount.h>
#include <nfsc/libnfs-raw-nfs.h>
#include <nfsc/libnfs-raw-nfs4.h>

// One set of names for libnfs 4 and 5, whose calls are called `…_async` and return 0, and for 6 and later, whose calls are
// called `…_task` and return the request. From 6 on a READ fills memory of the caller's, and a WRITE is sent out of it: both must
// stay until the callback, and in a COMPOUND the operation must be the last.

#ifdef LIBNFS_API_V2
#define CLIBNFS_QUEUED(call, ...) (call##_task(__VA_ARGS__) != NULL)
#else
#define CLIBNFS_QUEUED(call, ...) (call##_async(__VA_ARGS__) == 0)
#endif

/// Whether READ fills the memory it is given, and READ and WRITE are to be the last operation of a COMPOUND.
static inline bool clibnfs_borrows_memory(void) {
#ifdef LIBNFS_API_V2
    return true;
#else
    return false;
#endif
}

/// Lets libnfs wait for replies without an end, as 4 and 5 do by themselves: who calls it has time limits of its own.
static inline void clibnfs_disable_timeout(struct rpc_context *context) {
#ifdef LIBNFS_API_V2
    rpc_set_timeout(context, -1);
#else
    (void)context;
#endif
}

#define CLIBNFS_CALL(name, arguments)                                                                        \
    static inline bool clibnfs_##name(                                                                       \
        struct rpc_context *context, rpc_cb callback, struct arguments *args, void *data) {                  \
        return CLIBNFS_QUEUED(rpc_##name, context, callback, args, data);                                    \
    }

CLIBNFS_CALL(nfs3_create, CREATE3args)
CLIBNFS_CALL(nfs3_mkdir, MKDIR3args)
CLIBNFS_CALL(nfs3_symlink, SYMLINK3args)
CLIBNFS_CALL(nfs3_mknod, MKNOD3args)
CLIBNFS_CALL(nfs3_remove, REMOVE3args)
CLIBNFS_CALL(nfs3_rmdir, RMDIR3args)
CLIBNFS_CALL(nfs3_rename, RENAME3args)
CLIBNFS_CALL(nfs3_lookup, LOOKUP3args)
CLIBNFS_CALL(nfs3_getattr, GETATTR3args)
CLIBNFS_CALL(nfs3_setattr, SETATTR3args)
CLIBNFS_CALL(nfs3_readlink, READLINK3args)
CLIBNFS_CALL(nfs3_link, LINK3args)
CLIBNFS_CALL(nfs3_fsstat, FSSTAT3args)
CLIBNFS_CALL(nfs3_fsinfo, FSINFO3args)
CLIBNFS_CALL(nfs3_commit, COMMIT3args)
CLIBNFS_CALL(nfs3_write, WRITE3args)
CLIBNFS_CALL(nfs3_readdirplus, READDIRPLUS3args)
CLIBNFS_CALL(nfs4_compound, COMPOUND4args)

static inline bool clibnfs_mount3_mnt(struct rpc_context *context, rpc_cb callback, char *path, void *data) {
    return CLIBNFS_QUEUED(rpc_mount3_mnt, context, callback, path, data);
}

/// Reads into `memory`, where memory is borrowed; it takes as many bytes as `args` asks for.
static inline bool clibnfs_nfs3_read(
    struct rpc_context *context, rpc_cb callback, void *memory, struct READ3args *args, void *data) {
#ifdef LIBNFS_API_V2
    return rpc_nfs3_read_task(context, callback, memory, args->count, args, data) != NULL;
#else
    (void)memory;
    return rpc_nfs3_read_async(context, callback, args, data) == 0;
#endif
}

/// The same for a COMPOUND whose last operation is a READ of `count` bytes.
static inline bool clibnfs_nfs4_read(
    struct rpc_context *context, rpc_cb callback, void *memory, size_t count, struct COMPOUND4args *args, void *data) {
#ifdef LIBNFS_API_V2
    return rpc_nfs4_read_task(context, callback, memory, count, args, data) != NULL;
#else
    (void)memory;
    (void)count;
    return rpc_nfs4_compound_async(context, callback, args, data) == 0;
#endif
}

/// Sends a COMPOUND whose last operation is a WRITE of the `count` bytes at `memory`.
static inline bool clibnfs_nfs4_write(
    struct rpc_context *context, rpc_cb callback, const void *memory, size_t count, struct COMPOUND4args *args,
    void *data) {
#ifdef LIBNFS_API_V2
    return rpc_nfs4_write_task(context, callback, memory, count, args, data) != NULL;
#else
    (void)memory;
    (void)count;
    return rpc_nfs4_compound_async(context, callback, args, data) == 0;
#endif
}
