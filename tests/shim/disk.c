/* Preloaded into a real program (LD_PRELOAD), it counts what the program writes below one folder,
 * and ends the process, or makes a call fail, at a chosen one. Nothing of this is in the programs
 * themselves. Environment:
 *   GV_SHIM_FOLDER  the folder
 *   GV_SHIM_COUNT   file that gets the number of calls when the program exits by itself
 *   GV_SHIM_KILL    SIGKILL before call N; with GV_SHIM_TORN after half of it, when it is a write
 *   GV_SHIM_FAIL    call N fails with GV_SHIM_ERRNO, and GV_SHIM_FAILS - 1 after it
 *   GV_SHIM_FAIL_MS instead of that: and all for so many milliseconds after it
 *   GV_SHIM_FULL    while this file exists all that needs room fails with ENOSPC
 *   GV_SHIM_OTHERS  counted are not these calls, but the other ones that change something or keep
 *                   it from others: fcntl with a lock, fchmod, chmod, fchown, chown, shared mmap
 *   GV_SHIM_NO_LINK a file has one name there: 1, as on a memory stick; 2, and nothing can be told
 *                   not to be replaced; 3, and a file of that name comes just then
 *   GV_SHIM_CLOCK   seconds that the wall clock is ahead
 *   GV_SHIM_TRACE   file that gets, in their order, what is written to a log of SQLite's below the
 *                   folder ("-wal") and to the files `number` and `key`, their syncs, and that
 *                   bytes go out on a TCP socket: for each a struct shim_trace, and after a write
 *                   what was written
 * Calls that count: opening to write, write, pwrite, fsync, fdatasync, ftruncate, rename,
 * renameat2, link, unlink, mkdir. They go to the kernel directly. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "trace.h"

#define FDS 4096

static bool ours[FDS], wal[FDS], small[FDS], folders[FDS];
static char folder[512], full[512], count_path[512];
static int trace_fd = -1;
static long kill_at, fail_at, fail_count, fail_ms, fail_errno, clock_ahead, no_link;
static bool torn, others, ready;
static atomic_long calls;

static long number(const char *name, long otherwise)
{
    const char *text = getenv(name);

    return text ? strtol(text, NULL, 10) : otherwise;
}

static void open_trace(const char *path)
{
    if (path)
        trace_fd = (int)syscall(SYS_openat, AT_FDCWD, path,
                                O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void text(char *out, size_t cap, const char *name)
{
    const char *value = getenv(name);

    snprintf(out, cap, "%s", value ? value : "");
}

__attribute__((constructor)) static void prepare(void)
{
    if (ready)
        return;
    text(folder, sizeof folder, "GV_SHIM_FOLDER");
    text(full, sizeof full, "GV_SHIM_FULL");
    text(count_path, sizeof count_path, "GV_SHIM_COUNT");
    kill_at = number("GV_SHIM_KILL", 0);
    torn = number("GV_SHIM_TORN", 0) != 0;
    others = number("GV_SHIM_OTHERS", 0) != 0;
    fail_at = number("GV_SHIM_FAIL", 0);
    fail_count = number("GV_SHIM_FAILS", 1);
    fail_ms = number("GV_SHIM_FAIL_MS", 0);
    fail_errno = number("GV_SHIM_ERRNO", EIO);
    clock_ahead = number("GV_SHIM_CLOCK", 0);
    no_link = number("GV_SHIM_NO_LINK", 0);
    open_trace(getenv("GV_SHIM_TRACE"));
    ready = true;
}

__attribute__((destructor)) static void tell(void)
{
    char line[32];

    if (!count_path[0])
        return;
    int len = snprintf(line, sizeof line, "%ld\n", atomic_load(&calls));
    int fd = (int)syscall(SYS_openat, AT_FDCWD, count_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    syscall(SYS_write, fd, line, (size_t)len);
    syscall(SYS_close, fd);
}

static bool below(const char *path)
{
    size_t len;

    prepare();
    len = strlen(folder);
    return len > 0 && strncmp(path, folder, len) == 0;
}

static bool is_ours(int fd)
{
    return fd >= 0 && fd < FDS && ours[fd];
}

/* Whether less time than that has passed since it was first asked. */
static bool is_while(void)
{
    static atomic_long first_ms;
    struct timespec now;
    long none = 0;

    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    long ms = now.tv_sec * 1000 + now.tv_nsec / 1000000 + 1;
    atomic_compare_exchange_strong(&first_ms, &none, ms);
    return ms - atomic_load(&first_ms) < fail_ms;
}

static bool fails(long n)
{
    if (fail_at <= 0 || n < fail_at)
        return false;
    if (fail_ms > 0 ? !is_while() : n >= fail_at + fail_count)
        return false;
    errno = (int)fail_errno;
    return true;
}

static long next_call(void)
{
    return atomic_fetch_add(&calls, 1) + 1;
}

static bool other_fails(void)
{
    return others && fails(next_call());
}

/* Counts; true when this call is to fail, with errno set. A write may be half done before the end.
 */
static bool counted(bool room, int fd, const void *data, size_t len, off_t at)
{
    long n = others ? 0 : next_call();

    if (n > 0 && n == kill_at) {
        if (torn && data && at >= 0)
            syscall(SYS_pwrite64, fd, data, len / 2, at);
        else if (torn && data)
            syscall(SYS_write, fd, data, len / 2);
        syscall(SYS_kill, getpid(), SIGKILL);
    }
    if (fails(n))
        return true;
    if (room && full[0] && syscall(SYS_access, full, F_OK) == 0) {
        errno = ENOSPC;
        return true;
    }
    return false;
}

/* ---- the trace ------------------------------------------------------------------------------ */

/* One call, so that lines of two threads do not mix. */
static void trace(enum shim_trace_kind kind, const void *data, size_t len)
{
    struct shim_trace head = {(uint32_t)kind, (uint32_t)len};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, len}};

    if (trace_fd >= 0)
        syscall(SYS_writev, trace_fd, parts, data ? 2 : 1);
}

static bool is(const bool of[FDS], int fd)
{
    return trace_fd >= 0 && fd >= 0 && fd < FDS && of[fd];
}

static void trace_write(int fd, const void *data, size_t len)
{
    if (is(wal, fd))
        trace(SHIM_WRITTEN, data, len);
    else if (is(small, fd))
        trace(SHIM_FILE_WRITTEN, data, len);
}

static void trace_sync(int fd, int rc)
{
    if (rc != 0)
        return;
    if (is(wal, fd))
        trace(SHIM_SYNCED, NULL, 0);
    else if (is(small, fd))
        trace(SHIM_FILE_SYNCED, NULL, 0);
    else if (is(folders, fd))
        trace(SHIM_FOLDER_SYNCED, NULL, 0);
}

static void trace_sent(int fd)
{
    int domain = 0;
    socklen_t len = sizeof domain;

    if (trace_fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
        (domain == AF_INET || domain == AF_INET6))
        trace(SHIM_SENT, NULL, 0);
}

/* ---- opening -------------------------------------------------------------------------------- */

static int open_at(int dir, const char *path, int flags, mode_t mode)
{
    bool mine = below(path);

    if (mine && (flags & O_ACCMODE) != O_RDONLY &&
        counted((flags & O_CREAT) && syscall(SYS_access, path, F_OK) != 0, -1, NULL, 0, -1))
        return -1;
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    size_t len = strlen(path);
    if (fd >= 0 && fd < FDS) {
        ours[fd] = mine;
        wal[fd] = mine && len > 4 && strcmp(path + len - 4, "-wal") == 0;
        small[fd] = mine && (strstr(path + strlen(folder), "/number.") ||
                             strstr(path + strlen(folder), "/key.new"));
        folders[fd] = mine && (flags & O_DIRECTORY) != 0;
    }
    return fd;
}

#define MODE_OF(flags)                                                                             \
    mode_t mode = 0;                                                                               \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                         \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode = va_arg(args, mode_t);                                                               \
        va_end(args);                                                                              \
    }

int open(const char *path, int flags, ...)
{
    MODE_OF(flags)
    return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE_OF(flags)
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
    MODE_OF(flags)
    return open_at(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
    MODE_OF(flags)
    return open_at(dir, path, flags, mode);
}

int mkostemp(char *path, int flags)
{
    static atomic_uint serial;
    char *end = path + strlen(path) - 6;

    for (int i = 0; i < 100; i++) {
        unsigned n = (unsigned)getpid() * 100 + atomic_fetch_add(&serial, 1);
        snprintf(end, 7, "%06u", n % 1000000);
        int fd = open_at(AT_FDCWD, path, flags | O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

int close(int fd)
{
    if (fd >= 0 && fd < FDS)
        ours[fd] = wal[fd] = small[fd] = folders[fd] = false;
    return (int)syscall(SYS_close, fd);
}

/* ---- writing -------------------------------------------------------------------------------- */

ssize_t write(int fd, const void *data, size_t len)
{
    if (is_ours(fd) && counted(true, fd, data, len, -1))
        return -1;
    trace_write(fd, data, len);
    if (!is_ours(fd))
        trace_sent(fd);
    return syscall(SYS_write, fd, data, len);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    trace_sent(fd);
    return syscall(SYS_writev, fd, parts, count);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
    trace_sent(fd);
    return syscall(SYS_sendto, fd, data, len, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    trace_sent(fd);
    return syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    if (is_ours(fd) && counted(true, fd, data, len, at))
        return -1;
    trace_write(fd, data, len);
    return syscall(SYS_pwrite64, fd, data, len, at);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t at)
{
    return pwrite(fd, data, len, at);
}

int fsync(int fd)
{
    if (is_ours(fd) && counted(false, -1, NULL, 0, -1))
        return -1;
    int rc = (int)syscall(SYS_fsync, fd);
    trace_sync(fd, rc);
    return rc;
}

int fdatasync(int fd)
{
    if (is_ours(fd) && counted(false, -1, NULL, 0, -1))
        return -1;
    int rc = (int)syscall(SYS_fdatasync, fd);
    trace_sync(fd, rc);
    return rc;
}

int ftruncate(int fd, off_t len)
{
    if (is_ours(fd) && counted(len > 0, -1, NULL, 0, -1))
        return -1;
    return (int)syscall(SYS_ftruncate, fd, len);
}

int ftruncate64(int fd, off_t len)
{
    return ftruncate(fd, len);
}

/* ---- names ---------------------------------------------------------------------------------- */

int rename(const char *from, const char *to)
{
    if (below(to) && counted(true, -1, NULL, 0, -1))
        return -1;
    int rc = (int)syscall(SYS_rename, from, to);
    if (rc == 0 && trace_fd >= 0 && below(to) && strcmp(to + strlen(to) - 7, "/number") == 0)
        trace(SHIM_FILE_NAMED, NULL, 0);
    return rc;
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    if (below(to) && counted(true, -1, NULL, 0, -1))
        return -1;
    if (below(to) && flags && no_link > 1) {
        if (no_link > 2)
            syscall(SYS_close,
                    syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_EXCL, 0600));
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int link(const char *from, const char *to)
{
    if (below(to) && counted(true, -1, NULL, 0, -1))
        return -1;
    if (below(to) && no_link > 0) {
        errno = EPERM;
        return -1;
    }
    int rc = (int)syscall(SYS_link, from, to);
    if (rc == 0 && trace_fd >= 0 && below(to) && strcmp(to + strlen(to) - 4, "/key") == 0)
        trace(SHIM_FILE_NAMED, NULL, 0);
    return rc;
}

int unlink(const char *path)
{
    if (below(path) && counted(false, -1, NULL, 0, -1))
        return -1;
    return (int)syscall(SYS_unlink, path);
}

int mkdir(const char *path, mode_t mode)
{
    if (below(path) && counted(syscall(SYS_access, path, F_OK) != 0, -1, NULL, 0, -1))
        return -1;
    return (int)syscall(SYS_mkdir, path, mode);
}

/* ---- locks, rights, memory ------------------------------------------------------------------ */

static bool is_lock(int command)
{
    return command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK ||
           command == F_OFD_SETLKW || command == F_GETLK;
}

/* Whatever it is, it fits into a long. */
#define VALUE_OF(command)                                                                          \
    va_list args;                                                                                  \
    va_start(args, command);                                                                       \
    long value = va_arg(args, long);                                                               \
    va_end(args);

static int control(int fd, int command, long value)
{
    if (is_ours(fd) && is_lock(command) && other_fails())
        return -1;
    int rc = (int)syscall(SYS_fcntl, fd, command, value);
    if (rc >= 0 && rc < FDS && (command == F_DUPFD || command == F_DUPFD_CLOEXEC)) {
        ours[rc] = is_ours(fd);
        wal[rc] = small[rc] = folders[rc] = false;
    }
    return rc;
}

int fcntl(int fd, int command, ...)
{
    VALUE_OF(command)
    return control(fd, command, value);
}

int fcntl64(int fd, int command, ...)
{
    VALUE_OF(command)
    return control(fd, command, value);
}

int fchmod(int fd, mode_t mode)
{
    if (is_ours(fd) && other_fails())
        return -1;
    return (int)syscall(SYS_fchmod, fd, mode);
}

int chmod(const char *path, mode_t mode)
{
    if (below(path) && other_fails())
        return -1;
    return (int)syscall(SYS_chmod, path, mode);
}

int fchown(int fd, uid_t user, gid_t group)
{
    if (is_ours(fd) && other_fails())
        return -1;
    return (int)syscall(SYS_fchown, fd, user, group);
}

int chown(const char *path, uid_t user, gid_t group)
{
    if (below(path) && other_fails())
        return -1;
    return (int)syscall(SYS_chown, path, user, group);
}

void *mmap(void *at, size_t len, int rights, int flags, int fd, off_t from)
{
    if (is_ours(fd) && (flags & MAP_TYPE) == MAP_SHARED && other_fails())
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, at, len, rights, flags, fd, from);
}

void *mmap64(void *at, size_t len, int rights, int flags, int fd, off_t from)
{
    return mmap(at, len, rights, flags, fd, from);
}

/* ---- time ----------------------------------------------------------------------------------- */

int clock_gettime(clockid_t clock, struct timespec *out)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, out);

    if (rc == 0 && clock == CLOCK_REALTIME)
        out->tv_sec += clock_ahead;
    return rc;
}

time_t time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}
