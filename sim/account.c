#include "sim/account.h"

#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int64_t *open_account;

/* Weak: in a program that is linked without --wrap they do not exist, and nobody calls the wraps.
 */
void *__real_malloc(size_t size) __attribute__((weak));
void *__real_calloc(size_t count, size_t size) __attribute__((weak));
void *__real_realloc(void *old, size_t size) __attribute__((weak));
void __real_free(void *old) __attribute__((weak));
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *old);

bool gv_account_counts(void)
{
    return __real_malloc != NULL;
}

#define HUGE_PAGE ((uintptr_t)2 << 20)
/* The heap grows by so much at a time; a small world does not need as much at all. */
#define HEAP_STEP (16 * HUGE_PAGE)

/* The heap up to here was asked to lie in huge pages. */
static uintptr_t asked_until;

void gv_account_prepare(void)
{
    /* Set by hand, it does not grow with what is freed. */
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    mallopt(M_TOP_PAD, (int)HEAP_STEP);
    if (asked_until == 0)
        asked_until = (uintptr_t)sbrk(0) + HEAP_STEP;
}

/* Nodes by the thousand lie all over gigabytes, and with pages of 4 kB looking up where a page is
 * takes as long as what is read there. What the kernel makes of it is its own affair. */
static void ask_for_huge_pages(void)
{
    uintptr_t from = asked_until & ~(HUGE_PAGE - 1), until = (uintptr_t)sbrk(0);

    until &= ~(HUGE_PAGE - 1);
    if (until > from)
        (void)madvise((void *)from, until - from, MADV_HUGEPAGE); // NOLINT: an address as a number
    asked_until = until > asked_until ? until : asked_until + HUGE_PAGE;
}

int64_t *gv_account_switch(int64_t *to)
{
    int64_t *before = open_account;

    open_account = to;
    return before;
}

static bool is_of_heap(uintptr_t at)
{
    return at >= asked_until && at < (uintptr_t)sbrk(0);
}

static void *book(void *block)
{
    if (asked_until != 0 && (uintptr_t)block >= asked_until && is_of_heap((uintptr_t)block))
        ask_for_huge_pages();
    if (open_account && block)
        *open_account += (int64_t)malloc_usable_size(block);
    return block;
}

static void unbook(void *block)
{
    if (open_account && block)
        *open_account -= (int64_t)malloc_usable_size(block);
}

void *__wrap_malloc(size_t size)
{
    return book(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return book(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    unbook(old);
    return book(__real_realloc(old, size)); /* the simulator does not outlive a failed one */
}

void __wrap_free(void *old)
{
    unbook(old);
    __real_free(old);
}
