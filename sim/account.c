#include "sim/account.h"

#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

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

void gv_account_prepare(void)
{
    /* Set by hand, it does not grow with what is freed. */
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
}

int64_t *gv_account_switch(int64_t *to)
{
    int64_t *before = open_account;

    open_account = to;
    return before;
}

static void *book(void *block)
{
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
