/* Preloaded into a real program (LD_PRELOAD), it counts what is asked of malloc, calloc, realloc
 * and posix_memalign from main() on (by the C library's own functions and by every other library
 * too) and fails a chosen one. Nothing of this is in the programs themselves. Environment:
 *   GV_SHIM_COUNT   file that gets the number of calls when the program exits by itself
 *   GV_SHIM_FAIL    call N fails, and GV_SHIM_FAILS - 1 after it
 *   GV_SHIM_OURS    if set, only calls that the program's own code makes are counted and fail
 *   GV_SHIM_LEAVE   a library whose calls never fail, as part of its file's name; e.g. libcrypto
 * The calls go on to the next allocator, so that ASan's still sees them. Debug information is not
 * needed; a program linked with ASan's static runtime (clang) cannot be shimmed. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *(*next_malloc)(size_t size);
static void *(*next_calloc)(size_t count, size_t size);
static void *(*next_realloc)(void *old, size_t size);
static int (*next_memalign)(void **out, size_t alignment, size_t size);
static int (*real_main)(int argc, char **argv, char **env);

static atomic_long calls;
static atomic_bool running;
static long fail_at, fails;
static bool ours;
static const char *count_path;
static uintptr_t text_from, text_to; /* of the program itself */
static uintptr_t left_from[8], left_to[8];
static size_t left_count;

static void find_next(void)
{
    if (next_malloc)
        return;
    *(void **)&next_calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&next_realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&next_memalign = dlsym(RTLD_NEXT, "posix_memalign");
    *(void **)&next_malloc = dlsym(RTLD_NEXT, "malloc");
}

static bool fails_now(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;

    if (!atomic_load(&running))
        return false;
    if (ours && (at < text_from || at >= text_to))
        return false;
    for (size_t i = 0; i < left_count; i++)
        if (at >= left_from[i] && at < left_to[i])
            return false;
    long n = atomic_fetch_add(&calls, 1) + 1;
    if (fail_at == 0 || n < fail_at || n >= fail_at + fails)
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    find_next();
    return fails_now(__builtin_return_address(0)) ? NULL : next_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    find_next();
    return fails_now(__builtin_return_address(0)) ? NULL : next_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    find_next();
    return fails_now(__builtin_return_address(0)) ? NULL : next_realloc(old, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    find_next();
    return fails_now(__builtin_return_address(0)) ? ENOMEM : next_memalign(out, alignment, size);
}

/* The C library's, which it may call behind our back. */
char *strdup(const char *text)
{
    size_t len = strlen(text) + 1;

    find_next();
    char *copy = fails_now(__builtin_return_address(0)) ? NULL : next_malloc(len);
    return copy ? memcpy(copy, text, len) : NULL;
}

/* ---- from main on --------------------------------------------------------------------------- */

static int look_at(struct dl_phdr_info *info, size_t size, void *context)
{
    const char *leave = context;
    bool program = info->dlpi_name[0] == 0;
    bool left = !program && leave && strstr(info->dlpi_name, leave);

    (void)size;
    for (size_t i = 0; i < info->dlpi_phnum && (program || left); i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + part->p_vaddr;
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
            continue;
        if (program) {
            text_from = from;
            text_to = from + part->p_memsz;
        } else if (left_count < sizeof left_from / sizeof *left_from) {
            left_from[left_count] = from;
            left_to[left_count++] = from + part->p_memsz;
        }
    }
    return 0;
}

static void tell(void)
{
    char line[32];

    if (!atomic_exchange(&running, false) || !count_path)
        return;
    int len = snprintf(line, sizeof line, "%ld\n", atomic_load(&calls));
    int fd = (int)syscall(SYS_openat, AT_FDCWD, count_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    syscall(SYS_write, fd, line, (size_t)len);
    syscall(SYS_close, fd);
}

static int shimmed_main(int argc, char **argv, char **env)
{
    const char *at = getenv("GV_SHIM_FAIL"), *many = getenv("GV_SHIM_FAILS");

    fail_at = at ? strtol(at, NULL, 10) : 0;
    fails = many ? strtol(many, NULL, 10) : 1;
    ours = getenv("GV_SHIM_OURS") != NULL;
    count_path = getenv("GV_SHIM_COUNT");
    dl_iterate_phdr(look_at, getenv("GV_SHIM_LEAVE"));
    atexit(tell);
    atomic_store(&running, true);
    return real_main(argc, argv, env);
}

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*ld_fini)(void), void *stack_end);
int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*ld_fini)(void), void *stack_end)
{
    int (*next)(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void),
                void (*)(void), void *);

    *(void **)&next = dlsym(RTLD_NEXT, "__libc_start_main");
    real_main = main;
    return next(shimmed_main, argc, argv, init, fini, ld_fini, stack_end);
}
