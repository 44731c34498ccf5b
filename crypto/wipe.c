#include "crypto/wipe.h"

#include <sodium.h>

void gv_wipe(void *data, size_t len)
{
    if (len > 0)
        sodium_memzero(data, len);
}

bool gv_equal_secret(const void *a, const void *b, size_t len)
{
    return len == 0 || sodium_memcmp(a, b, len) == 0;
}
